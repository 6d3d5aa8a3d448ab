import type { CallContext } from "nice-grpc-common";
import type {
  DispatchRequest,
  DispatchService,
  DispatchStreamRequest,
} from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import type { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import type { Redact } from "../config/secret-text.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { RrError } from "../errors.ts";
import { DEFAULT_MAX_MESSAGE_BYTES, MESSAGE_BYTES_KEY, pieceLimits } from "../grpc/dispatch-sizes.ts";
import type { Implementation } from "../grpc/service-definition.ts";
import type { Log } from "../log.ts";
import { resolveIdentity } from "../process/identity.ts";
import type { ReplyPart } from "../worker/execution.ts";
import type { CallGate } from "./call-gate.ts";
import { preciseDuration } from "./convert.ts";
import { DispatchSession } from "./dispatch-session.ts";
import type { SpillRules } from "./spilled-reply.ts";
import type { SessionServices } from "./stream-call.ts";

/** What runs on streams. */
export interface OpenStreams {
  /** Counted for the statistics. */
  dispatchStreams: number;
}

export interface DispatchParts {
  readonly dispatcher: Dispatcher;
  readonly messageBytesMax: number;
  /** One for all who share its limits. */
  readonly intake: SessionServices["intake"];
  readonly streams: OpenStreams;
  readonly stopping: AbortSignal;
  readonly redact: Redact;
  readonly log: Log;
  readonly spillRules: SpillRules;
}

export function dispatchService(
  { dispatcher, messageBytesMax, intake, streams, stopping, redact, log, spillRules }: DispatchParts,
  gate: CallGate,
) {
  const services: SessionServices = {
    dispatcher,
    gate,
    intake,
    // Clients take 64 MiB in a message, unless they were told otherwise.
    limits: pieceLimits(Math.min(messageBytesMax, DEFAULT_MAX_MESSAGE_BYTES)),
    redact,
    log,
    spillRules,
    fileOwner: (pool) => {
      const { user, group } = dispatcher.pool(pool).options;
      return resolveIdentity(user, group);
    },
  };
  return {
    async dispatch(request: DispatchRequest, context: CallContext) {
      if (gate.closed) throw new RrError("DRAINING", "the server is stopping", { retryAfterMs: 1_000 });
      const startedAtMs = performance.now();
      gate.entered();
      const run = runUnary(dispatcher, request, messageBytesMax, context.signal).finally(() => gate.left());
      const { reply, pid, startedReplyAtMs } = await run;
      return {
        payload: reply,
        pid,
        queueTime: preciseDuration(Math.max(0, startedReplyAtMs - startedAtMs)),
        execTime: preciseDuration(Math.max(0, performance.now() - startedReplyAtMs)),
      };
    },

    async *dispatchStream(requests: AsyncIterable<DispatchStreamRequest>, context: CallContext) {
      // Tells the client that the stream is there, before the first reply. An empty header would not be sent.
      context.header.set("rr-dispatch-stream", "open");
      context.header.set(MESSAGE_BYTES_KEY, String(messageBytesMax));
      context.sendHeader();
      const session = new DispatchSession(services);
      // A stream has no end of its own: without this one a frontend elsewhere would keep the server from ending.
      const signal = AbortSignal.any([context.signal, stopping]);
      const abort = () => session.close();
      signal.addEventListener("abort", abort);
      streams.dispatchStreams++;
      void session.consume(requests);
      try {
        yield* session.output();
      } finally {
        streams.dispatchStreams--;
        signal.removeEventListener("abort", abort);
        session.close();
      }
    },
  } satisfies Implementation<typeof DispatchService>;
}

/** Runs one call and joins the parts of its reply, up to what fits in one message. */
function runUnary(
  dispatcher: Dispatcher,
  { pool, payload, idempotent, requestId }: DispatchRequest,
  bytesMax: number,
  signal: AbortSignal,
): Promise<{ reply: { context: Uint8Array; body: Uint8Array; codec: Codec }; pid: number; startedReplyAtMs: number }> {
  const { context, body, codec } = payload!;
  return new Promise((resolve, reject) => {
    let head: ReplyPart | undefined;
    const bodies: Buffer[] = [];
    let bytes = 0;
    const { payloadBytes } = pieceLimits(bytesMax);
    const abort = () => {
      call.cancel();
      reject(new RrError("CANCELLED", "the caller cancelled the call"));
    };
    const call = dispatcher.dispatch(
      { pool, request: { context, body, codec }, idempotent, requestId, timeoutMs: 0 },
      {
        reply: (part, pid) => {
          bytes += part.body.length + (head === undefined ? part.context.length : 0);
          head ??= { ...part, context: Buffer.from(part.context) };
          if (bytes <= payloadBytes) bodies.push(Buffer.from(part.body));
          if (part.more) return true;
          signal.removeEventListener("abort", abort);
          if (bytes > payloadBytes) reject(replyTooLarge(bytes, payloadBytes));
          else
            resolve({
              reply: { context: head.context, body: Buffer.concat(bodies), codec: head.codec as Codec },
              pid,
              startedReplyAtMs: call.startedAtMs,
            });
          return true;
        },
        failed: (error) => {
          signal.removeEventListener("abort", abort);
          reject(error);
        },
      },
    );
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}

function replyTooLarge(bytes: number, bytesMax: number): RrError {
  return new RrError(
    "PAYLOAD_TOO_LARGE",
    `the reply has ${bytes} bytes, but one message holds ${bytesMax}: use DispatchStream, or raise control.max_message_size`,
    { metadata: { limit_bytes: bytesMax } },
  );
}
