import type { DescMessage, Message } from "@bufbuild/protobuf";
import { type CallContext, ServerError, type ServerMiddlewareCall } from "nice-grpc-common";
import type { Redact } from "../config/secret-text.ts";
import { RrError, withTexts } from "../errors.ts";
import { requireDecoded } from "../grpc/service-definition.ts";
import { toServerError } from "../grpc/status.ts";
import type { Log } from "../log.ts";

/** What a request breaks, as an error; undefined if it breaks nothing. */
export type RequestValidator = (request: Message) => Promise<RrError | undefined>;

/** Throws if the caller may not call the method. */
export type Admission = (path: string, context: CallContext) => void;

/**
 * One interceptor for all calls: callers are asked who they are, single requests are checked against the rules of the
 * contract, and whatever a service throws leaves as a status with details, without secrets. One, because every layer costs the dispatch
 * stream a few microseconds a message.
 */
export function apiInterceptor(admit: Admission, validate: RequestValidator, redact: Redact, log: Log) {
  return async function* intercept<Request, Response>(
    call: ServerMiddlewareCall<Request, Response>,
    context: CallContext,
  ) {
    try {
      admit(call.method.path, context);
      if (!call.requestStream) {
        requireDecoded(call.request);
        const problem = await validate(call.request as Message);
        if (problem) throw problem;
      }
      return yield* call.next(call.request, context);
    } catch (thrown) {
      if (thrown instanceof ServerError || isAbort(thrown)) throw thrown;
      const error = withTexts(RrError.from(thrown), redact);
      if (error.reason === "INTERNAL")
        log.error(
          { method: call.method.path, stack: (error.cause as Error | undefined)?.stack ?? error.stack },
          error.message,
        );
      throw toServerError(error, context.trailer);
    }
  };
}

function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "AbortError";
}

/**
 * Checks requests by the rules in the contract. The library that does it takes 160 ms to load, so it is loaded with the
 * first request and not at the start.
 */
export function createValidator(messages: ReadonlyMap<string, DescMessage>): RequestValidator {
  let loading: Promise<(request: Message) => RrError | undefined> | undefined;
  return async (request) => {
    loading ??= loadValidator(messages);
    return (await loading)(request);
  };
}

async function loadValidator(messages: ReadonlyMap<string, DescMessage>) {
  const { createValidator: create } = await import("@bufbuild/protovalidate");
  const validator = create();
  return (request: Message): RrError | undefined => {
    const descriptor = messages.get(request.$typeName);
    if (!descriptor) return undefined;
    const result = validator.validate(descriptor, request);
    if (result.kind === "valid") return undefined;
    if (result.kind === "error") throw result.error;
    const violations = result.violations.map((violation) => ({
      field: fieldPath(violation.field),
      description: violation.message,
    }));
    const text = violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
    return new RrError("INVALID_REQUEST", `the request breaks the contract: ${text}`, { violations });
  };
}

function fieldPath(path: readonly { kind: string; name?: string; index?: number; key?: unknown }[]): string {
  let text = "";
  for (const step of path)
    if (step.kind === "list_sub") text += `[${step.index}]`;
    else if (step.kind === "map_sub") text += `[${JSON.stringify(String(step.key))}]`;
    else text += text === "" ? step.name : `.${step.name}`;
  return text;
}
