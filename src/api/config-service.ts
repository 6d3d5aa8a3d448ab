import {
  type ConfigService,
  type GetConfigRequest,
  ProblemSeverity,
  type ValidateConfigRequest,
} from "../../gen/roadrunner/config/v1/config_service_pb.ts";
import { checkConfiguration, type LoadedConfiguration } from "../config/load.ts";
import { writeYaml } from "../config/write.ts";
import type { Implementation } from "../grpc/service-definition.ts";

const SEVERITY = { error: ProblemSeverity.ERROR, warning: ProblemSeverity.WARNING } as const;

export function configService({ configuration, message, origins, env }: LoadedConfiguration) {
  return {
    async getConfig(_request: GetConfigRequest) {
      return {
        configuration: message,
        yaml: writeYaml(message),
        provenance: [...origins]
          .map(([path, origin]) => ({ path, origin }))
          .sort((one, other) => (one.path < other.path ? -1 : 1)),
      };
    },
    async validateConfig({ text, filename }: ValidateConfigRequest) {
      const { workingDirectory } = configuration;
      const { problems } = checkConfiguration({
        text,
        file: filename || undefined,
        cwd: workingDirectory,
        workingDirectory,
        env,
      });
      return { problems: problems.map((problem) => ({ ...problem, severity: SEVERITY[problem.severity] })) };
    },
  } satisfies Implementation<typeof ConfigService>;
}
