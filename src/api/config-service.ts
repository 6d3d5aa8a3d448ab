import type {
  ConfigService,
  GetConfigRequest,
  ValidateConfigRequest,
} from "../../gen/roadrunner/config/v1/config_service_pb.ts";
import { toGetConfigResponse, toValidateConfigResponse } from "../config/contract.ts";
import { checkConfiguration, type LoadedConfiguration } from "../config/load.ts";
import type { Implementation } from "../grpc/service-definition.ts";

export function configService(loaded: LoadedConfiguration) {
  const { configuration } = loaded;
  return {
    async getConfig(_request: GetConfigRequest) {
      return toGetConfigResponse(loaded);
    },
    async validateConfig({ text, filename }: ValidateConfigRequest) {
      const { workingDirectory } = configuration;
      const file = filename || undefined;
      const source = { text, file, cwd: workingDirectory, workingDirectory, env: {}, handedIn: true };
      const { problems } = checkConfiguration(source);
      return toValidateConfigResponse(problems);
    },
  } satisfies Implementation<typeof ConfigService>;
}
