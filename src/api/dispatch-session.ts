import type {
  CallCommand,
  CallEvent,
  DispatchStreamRequest,
  DispatchStreamResponse,
  OpenCall,
} from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import type { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import type { DispatchedCall, Dispatcher } from "../dispatch/dispatcher.ts";
import { RrError } from "../errors.ts";
import { toErrorDetail } from "../grpc/status.ts";
import type { CallSink } from "../pool/call.ts";
import type { ReplyPart } from "../worker/execution.ts";

const NO_BYTES = new Uint8Array(0);

/**
 * One dispatch stream: commands of many calls come in, events of many calls go out. All events of one turn of the event
 * loop leave in one message; nothing is delayed beyond the turn.
 */
export class DispatchSession {
  readonly #dispatcher: Dispatcher;
  readonly #payloadBytesMax: number;
  readonly #calls = new Map<number, StreamCall>();
  #events: CallEvent[] = [];
  #wake: (() => void) | undefined;
  #inputEnded = false;

  constructor(dispatcher: Dispatcher, payloadBytesMax: number) {
    this.#dispatcher = dispatcher;
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** Takes commands until the caller ends its side. Cancels all open calls if it breaks. */
  async consume(requests: AsyncIterable<DispatchStreamRequest>): Promise<void> {
    try {
      for await (const request of requests) for (const command of request.commands) this.#command(command);
      this.#inputEnded = true;
      this.#wake?.();
    } catch {
      this.close();
    }
  }

  /** Batches of events until the caller has ended its side and no call is open. */
  async *output(): AsyncGenerator<DispatchStreamResponse> {
    for (;;) {
      if (this.#events.length === 0) {
        if (this.#inputEnded && this.#calls.size === 0) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        continue;
      }
      const events = this.#events;
      this.#events = [];
      yield { $typeName: "roadrunner.dispatch.v1.DispatchStreamResponse", events };
    }
  }

  /** The caller is gone: nobody wants the replies. */
  close(): void {
    this.#inputEnded = true;
    for (const call of this.#calls.values()) call.cancel();
    this.#calls.clear();
    this.#wake?.();
  }

  send(event: CallEvent): void {
    // The first event of a turn arms the wake-up; the others of the turn join it.
    if (this.#events.push(event) === 1 && this.#wake) setImmediate(() => this.#wake?.());
  }

  ended(callId: number): void {
    this.#calls.delete(callId);
  }

  #command({ callId, command }: CallCommand): void {
    if (command.case === "open") {
      if (this.#calls.has(callId)) this.send(errorEvent(callId, duplicateCall(callId)));
      else this.#open(callId, command.value);
      return;
    }
    // Commands of calls that have ended meanwhile are late, not wrong.
    const call = this.#calls.get(callId);
    if (!call) return;
    if (command.case === "grant") call.grant(command.value.bytes);
    else if (command.case === "body") call.body(command.value.data, command.value.last);
    else if (command.case === "cancel") {
      this.#calls.delete(callId);
      call.cancel();
      this.send(errorEvent(callId, new RrError("CANCELLED", "the caller cancelled the call")));
    }
  }

  #open(callId: number, open: OpenCall): void {
    const call = new StreamCall(callId, open, this, this.#dispatcher, this.#payloadBytesMax);
    this.#calls.set(callId, call);
    call.body(open.body, !open.moreBody);
  }
}

/** One call of the stream. */
class StreamCall implements CallSink {
  readonly #id: number;
  readonly #open: OpenCall;
  readonly #session: DispatchSession;
  readonly #dispatcher: Dispatcher;
  readonly #payloadBytesMax: number;
  /** Pieces of the body that have come so far. */
  #bodyParts: Uint8Array[] = [];
  #bodyBytes = 0;
  #windowBytes: number;
  #started = false;
  #call: DispatchedCall | undefined;

  constructor(id: number, open: OpenCall, session: DispatchSession, dispatcher: Dispatcher, payloadBytesMax: number) {
    this.#id = id;
    this.#open = open;
    this.#session = session;
    this.#dispatcher = dispatcher;
    this.#payloadBytesMax = payloadBytesMax;
    this.#windowBytes = open.windowBytes === 0 ? Number.POSITIVE_INFINITY : open.windowBytes;
  }

  body(data: Uint8Array, last: boolean): void {
    if (this.#started) return;
    this.#bodyBytes += data.length;
    if (this.#bodyBytes + this.#open.context.length > this.#payloadBytesMax) return this.#tooLarge();
    // A lone piece stays a view on its message; pieces that wait for others would hold whole messages in memory.
    this.#bodyParts.push(last && this.#bodyParts.length === 0 ? data : Buffer.from(data));
    if (last) this.#start();
  }

  grant(bytes: number): void {
    const wasOpen = this.#windowBytes > 0;
    this.#windowBytes += bytes;
    if (!wasOpen && this.#windowBytes > 0) this.#call?.resume();
  }

  cancel(): void {
    this.#started = true;
    this.#call?.cancel();
  }

  reply(part: ReplyPart, pid: number): boolean {
    this.#windowBytes -= part.body.length + part.context.length;
    if (!part.more) this.#session.ended(this.#id);
    this.#session.send({
      $typeName: "roadrunner.dispatch.v1.CallEvent",
      callId: this.#id,
      event: {
        case: "reply",
        value: {
          $typeName: "roadrunner.dispatch.v1.Reply",
          context: part.context,
          body: part.body,
          codec: part.codec as Codec,
          more: part.more,
          pid,
        },
      },
    });
    return this.#windowBytes > 0;
  }

  failed(error: RrError): void {
    this.#session.ended(this.#id);
    this.#session.send(errorEvent(this.#id, error));
  }

  #start(): void {
    this.#started = true;
    const parts = this.#bodyParts;
    this.#bodyParts = [];
    const { pool, context, codec, idempotent, requestId, timeoutMs } = this.#open;
    const body = parts.length === 1 ? parts[0]! : parts.length === 0 ? NO_BYTES : Buffer.concat(parts);
    this.#call = this.#dispatcher.dispatch(
      { pool, request: { context, body, codec }, idempotent, requestId, timeoutMs },
      this,
    );
  }

  #tooLarge(): void {
    this.#started = true;
    this.#bodyParts = [];
    this.failed(
      new RrError(
        "PAYLOAD_TOO_LARGE",
        `the payload is larger than the ${this.#payloadBytesMax} bytes that are allowed`,
        {
          metadata: { limit_bytes: this.#payloadBytesMax },
        },
      ),
    );
  }
}

function duplicateCall(callId: number): RrError {
  return new RrError("INVALID_REQUEST", `call id ${callId} is in use: choose one that no open call of the stream has`);
}

function errorEvent(callId: number, error: RrError): CallEvent {
  return {
    $typeName: "roadrunner.dispatch.v1.CallEvent",
    callId,
    event: { case: "error", value: { $typeName: "roadrunner.errors.v1.ErrorDetail", ...toErrorDetail(error) } },
  };
}
