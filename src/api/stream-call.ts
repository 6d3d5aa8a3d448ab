import type {
  BodyChunk,
  CallEvent,
  FileChunk,
  FileStored,
  OpenCall,
} from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import type { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import type { DispatchedCall, Dispatcher } from "../dispatch/dispatcher.ts";
import type { RrError } from "../errors.ts";
import type { WorkerRequest } from "../goridge/worker-protocol.ts";
import { toErrorDetail } from "../grpc/status.ts";
import type { CallSink } from "../pool/call.ts";
import type { FileOwner } from "../spool/spool-folder.ts";
import type { ReplyPart } from "../worker/execution.ts";
import type { CallGate } from "./call-gate.ts";
import { CallIntake, type IntakeListener, type IntakeSettings, payloadTooLarge } from "./call-intake.ts";

/** What the calls of all streams share. */
export interface SessionServices {
  readonly dispatcher: Dispatcher;
  readonly gate: CallGate;
  readonly intake: IntakeSettings;
  /** Who reads the files of a pool's calls. Throws an RrError for a pool that is not there. */
  readonly fileOwner: (pool: string) => FileOwner;
}

/** The stream that a call belongs to. */
export interface CallStream {
  send(event: CallEvent): void;
  ended(callId: number): void;
}

/** One call of a dispatch stream. */
export class StreamCall implements CallSink, IntakeListener {
  readonly #id: number;
  readonly #open: OpenCall;
  readonly #stream: CallStream;
  readonly #services: SessionServices;
  #windowBytes: number;
  /** Undefined for calls that came whole. */
  #intake: CallIntake | undefined;
  #call: DispatchedCall | undefined;

  constructor(id: number, open: OpenCall, stream: CallStream, services: SessionServices) {
    this.#id = id;
    this.#open = open;
    this.#stream = stream;
    this.#services = services;
    this.#windowBytes = open.windowBytes === 0 ? Number.POSITIVE_INFINITY : open.windowBytes;
  }

  start(): void {
    const { context, body, codec, moreBody, pool } = this.#open;
    const { intake, fileOwner, dispatcher } = this.#services;
    // Nobody need send a body that nobody will read.
    const refusal = moreBody ? dispatcher.admission(pool) : undefined;
    if (refusal) this.failed(refusal);
    else if (moreBody) this.#intake = new CallIntake(this.#open, intake, () => fileOwner(pool), this);
    else if (context.length + body.length > intake.payloadBytesMax)
      this.failed(payloadTooLarge(intake.payloadBytesMax));
    else this.complete({ context, body, codec });
  }

  // What the caller says.

  body(chunk: BodyChunk): void {
    this.#intake?.body(chunk);
  }

  file(chunk: FileChunk): void {
    this.#intake?.file(chunk);
  }

  grant(bytes: number): void {
    const wasOpen = this.#windowBytes > 0;
    this.#windowBytes += bytes;
    if (!wasOpen && this.#windowBytes > 0) this.#call?.resume();
  }

  cancel(): void {
    // With a worker at it, what the request brought stays until that has finished.
    if (this.#call) this.#call.cancel();
    else this.#intake?.release();
  }

  // What becomes of the request.

  taken(bytes: number): void {
    this.#send({ case: "taken", value: { $typeName: "roadrunner.dispatch.v1.BytesTaken", bytes } });
  }

  stored(file: Omit<FileStored, "$typeName">): void {
    this.#send({ case: "stored", value: { $typeName: "roadrunner.dispatch.v1.FileStored", ...file } });
  }

  complete(request: WorkerRequest): void {
    const { pool, idempotent, requestId, timeoutMs, attemptsLeft: attemptsMax } = this.#open;
    const options = { pool, request, idempotent, requestId, timeoutMs, attemptsMax };
    this.#call = this.#services.dispatcher.dispatch(options, this);
  }

  // What the pool says.

  reply(part: ReplyPart, pid: number): boolean {
    this.#windowBytes -= part.body.length + part.context.length;
    if (!part.more) this.#stream.ended(this.#id);
    this.#send({
      case: "reply",
      value: {
        $typeName: "roadrunner.dispatch.v1.Reply",
        context: part.context,
        body: part.body,
        codec: part.codec as Codec,
        more: part.more,
        pid,
      },
    });
    return this.#windowBytes > 0;
  }

  failed(error: RrError): void {
    this.#stream.ended(this.#id);
    this.#stream.send(errorEvent(this.#id, error));
  }

  retried(attempts: number): void {
    this.#send({ case: "retried", value: { $typeName: "roadrunner.dispatch.v1.CallRetried", attempts } });
  }

  settled(): void {
    this.#intake?.release();
  }

  #send(event: CallEvent["event"]): void {
    this.#stream.send({ $typeName: "roadrunner.dispatch.v1.CallEvent", callId: this.#id, event });
  }
}

export function errorEvent(callId: number, error: RrError): CallEvent {
  return {
    $typeName: "roadrunner.dispatch.v1.CallEvent",
    callId,
    event: { case: "error", value: { $typeName: "roadrunner.errors.v1.ErrorDetail", ...toErrorDetail(error) } },
  };
}
