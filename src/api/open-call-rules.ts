import type { OpenCall } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import { RrError } from "../errors.ts";

/** As `DispatchRequest` says of its fields of the same names. */
const NAME_LENGTH_MAX = 128;
const CODECS: ReadonlySet<number> = new Set(Object.values(Codec));

/**
 * What an `open` command breaks of the contract. The library that checks single requests costs more than many calls, so
 * the few rules are looked at by hand.
 */
export function openProblem({ pool, requestId, codec }: OpenCall): RrError | undefined {
  if (pool.length > NAME_LENGTH_MAX) return tooLong("open.pool", pool.length);
  if (requestId.length > NAME_LENGTH_MAX) return tooLong("open.request_id", requestId.length);
  if (!CODECS.has(codec)) return problem("open.codec", `expected a number of Codec, got ${codec}`);
  return undefined;
}

function tooLong(field: string, length: number): RrError {
  return problem(field, `expected ${NAME_LENGTH_MAX} characters at most, got ${length}`);
}

function problem(field: string, description: string): RrError {
  return new RrError("INVALID_REQUEST", `the command breaks the contract: ${field}: ${description}`, {
    violations: [{ field, description }],
  });
}
