import type { CallContext } from "nice-grpc-common";
import type {
  ConfigService,
  GetConfigRequest,
  ValidateConfigRequest,
} from "../../gen/roadrunner/config/v1/config_service_pb.ts";
import { toGetConfigResponse, toValidateConfigResponse } from "../config/contract.ts";
import { checkConfiguration, type LoadedConfiguration } from "../config/load.ts";
import { RrError } from "../errors.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Implementation } from "../grpc/service-definition.ts";
import { type Caller, callerOf } from "./caller.ts";

function admitToSecrets({ role, actor }: Caller, events: EventLog): void {
  if (role !== "admin")
    throw new RrError("PERMISSION_DENIED", `secrets are shown to admins, and ${actor} has the role ${role}`, {
      metadata: { role, role_needed: "admin" },
    });
  events.record("control.secrets_shown", { message: "the configuration was shown with its secrets", actor });
}

export function configService(loaded: LoadedConfiguration, events: EventLog) {
  const { configuration } = loaded;
  return {
    async getConfig({ showSecrets }: GetConfigRequest, context: CallContext) {
      if (showSecrets) admitToSecrets(callerOf(context), events);
      return toGetConfigResponse(loaded, showSecrets);
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
