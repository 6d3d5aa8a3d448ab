import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack, durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { ClientError, type Metadata, ServerError, Status } from "nice-grpc-common";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/google/rpc/status_pb.ts";
import { type ErrorDetail, ErrorReason as WireReason } from "../../gen/roadrunner/errors/v1/error_detail_pb.ts";
import { ERROR_TABLE, type ErrorReason, isErrorReason, RrError } from "../errors.ts";

/** The one place where errors become gRPC statuses and back. */
export const ERROR_DOMAIN = "roadrunner";
const DETAILS_KEY = "grpc-status-details-bin";

/** A status travels in trailers, twice, and those may have 64 KB in all with most receivers. */
const STATUS_CHARACTERS_MAX = 4096;
/** A value among the metadata of an error. */
const METADATA_CHARACTERS_MAX = 4096;

function cutText(text: string, charactersMax: number): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax)} ... (${text.length} characters in all)`;
}

function cutMetadata(metadata: Record<string, string>, charactersMax: number): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, cutText(value, charactersMax)]));
}

/** What the server sends for an error: status, message and the standard details. Long texts are cut. */
export function toServerError(error: RrError, trailer: Metadata): ServerError {
  const message = cutText(error.message, STATUS_CHARACTERS_MAX);
  const metadata = cutMetadata(error.metadata, STATUS_CHARACTERS_MAX / 2);
  const code = Status[ERROR_TABLE[error.reason].grpc];
  const details = [
    anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: error.reason, domain: ERROR_DOMAIN, metadata })),
  ];
  if (error.violations.length > 0)
    details.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations: error.violations })));
  if (error.retryAfterMs !== undefined)
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: durationFromMs(error.retryAfterMs) })));
  trailer.set(DETAILS_KEY, toBinary(StatusSchema, create(StatusSchema, { code, message, details })));
  return new ServerError(code, message);
}

const REASON_OF_BARE_STATUS: Partial<Record<Status, ErrorReason>> = {
  [Status.UNAVAILABLE]: "UNAVAILABLE",
  [Status.DEADLINE_EXCEEDED]: "DEADLINE_EXCEEDED",
  [Status.CANCELLED]: "CANCELLED",
  [Status.INVALID_ARGUMENT]: "INVALID_REQUEST",
  [Status.UNAUTHENTICATED]: "UNAUTHENTICATED",
  [Status.PERMISSION_DENIED]: "PERMISSION_DENIED",
  [Status.RESOURCE_EXHAUSTED]: "PAYLOAD_TOO_LARGE",
  [Status.UNIMPLEMENTED]: "UNIMPLEMENTED",
};

/** What a client received, as an RrError. `trailer` is that of the call, where the caller has it. */
export function fromClientError(thrown: unknown, trailer?: Metadata): RrError {
  if (thrown instanceof RrError) return thrown;
  if (!(thrown instanceof ClientError)) return RrError.from(thrown);
  const bytes = trailer?.get(DETAILS_KEY);
  if (bytes instanceof Uint8Array) {
    const status = fromBinary(StatusSchema, bytes);
    const info = status.details.map((detail) => anyUnpack(detail, ErrorInfoSchema)).find((found) => found);
    const retry = status.details.map((detail) => anyUnpack(detail, RetryInfoSchema)).find((found) => found);
    const bad = status.details.map((detail) => anyUnpack(detail, BadRequestSchema)).find((found) => found);
    if (info && info.domain === ERROR_DOMAIN && isErrorReason(info.reason))
      return new RrError(info.reason, status.message, {
        metadata: info.metadata,
        violations: bad?.fieldViolations.map(({ field, description }) => ({ field, description })) ?? [],
        ...(retry?.retryDelay && { retryAfterMs: durationMs(retry.retryDelay) }),
      });
  }
  return new RrError(REASON_OF_BARE_STATUS[thrown.code] ?? "INTERNAL", thrown.details, { cause: thrown });
}

const WIRE_OF = WireReason as unknown as Record<string, WireReason>;
const NAME_OF = new Map<number, ErrorReason>();
for (const reason of Object.keys(ERROR_TABLE) as ErrorReason[]) NAME_OF.set(wireReason(reason), reason);

/** The contract's enum value of a reason. */
export function wireReason(reason: ErrorReason): WireReason {
  const value = WIRE_OF[reason];
  if (value === undefined) throw new Error(`ErrorReason ${reason} is not in the contract`);
  return value;
}

/**
 * An error of one call, as it travels on a dispatch stream.
 *
 * @param charactersMax longer texts are cut
 */
export function toErrorDetail(error: RrError, charactersMax: number): Omit<ErrorDetail, "$typeName"> {
  return {
    reason: wireReason(error.reason),
    message: cutText(error.message, charactersMax),
    metadata: cutMetadata(error.metadata, Math.min(charactersMax, METADATA_CHARACTERS_MAX)),
    ...(error.retryAfterMs !== undefined && { retryDelay: durationFromMs(error.retryAfterMs) }),
  };
}

export function fromErrorDetail(detail: ErrorDetail): RrError {
  return new RrError(NAME_OF.get(detail.reason) ?? "INTERNAL", detail.message, {
    metadata: detail.metadata,
    ...(detail.retryDelay && { retryAfterMs: durationMs(detail.retryDelay) }),
  });
}
