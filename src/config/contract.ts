import { create } from "@bufbuild/protobuf";
import {
  type GetConfigResponse,
  GetConfigResponseSchema,
  ProblemSeverity,
  ProvenanceKind,
  type ValidateConfigResponse,
  ValidateConfigResponseSchema,
} from "../../gen/roadrunner/config/v1/config_service_pb.ts";
import type { LoadedConfiguration } from "./load.ts";
import type { Problem } from "./problem.ts";
import type { Provenance } from "./provenance.ts";
import { writeYaml } from "./write.ts";

/** What the loader knows, in the words of the contract: for the service, and for `rrctl` where no server is asked. */

const KIND: Readonly<Record<Provenance["kind"], ProvenanceKind>> = {
  default: ProvenanceKind.DEFAULT,
  file: ProvenanceKind.FILE,
  environment: ProvenanceKind.ENVIRONMENT,
  override: ProvenanceKind.OVERRIDE,
  include: ProvenanceKind.INCLUDE,
};

const SEVERITY = { error: ProblemSeverity.ERROR, warning: ProblemSeverity.WARNING } as const;

export function toGetConfigResponse({ message, provenance }: LoadedConfiguration): GetConfigResponse {
  return create(GetConfigResponseSchema, {
    configuration: message,
    yaml: writeYaml(message),
    provenance: provenance.map((entry) => ({ ...entry, kind: KIND[entry.kind] })),
  });
}

export function toValidateConfigResponse(problems: readonly Problem[]): ValidateConfigResponse {
  return create(ValidateConfigResponseSchema, {
    problems: problems.map((problem) => ({ ...problem, severity: SEVERITY[problem.severity] })),
  });
}
