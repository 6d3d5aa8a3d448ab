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

/** @param showSecrets as they are; otherwise "***" stands in their place, and names of variables for their values */
export function toGetConfigResponse(
  { message, provenance, masked }: LoadedConfiguration,
  showSecrets: boolean,
): GetConfigResponse {
  const shown = showSecrets ? message : masked.message;
  const entries = showSecrets ? provenance : masked.provenance;
  return create(GetConfigResponseSchema, {
    configuration: shown,
    yaml: showSecrets ? writeYaml(message) : writeYaml(masked.file, (text) => text),
    provenance: entries.map((entry) => ({ ...entry, kind: KIND[entry.kind] })),
  });
}

export function toValidateConfigResponse(problems: readonly Problem[]): ValidateConfigResponse {
  return create(ValidateConfigResponseSchema, {
    problems: problems.map((problem) => ({ ...problem, severity: SEVERITY[problem.severity] })),
  });
}
