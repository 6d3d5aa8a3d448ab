import type {
  BodyChunk,
  CallEvent,
  FileChunk,
  FileStored,
  OpenCall,
} from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import type { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import type { Redact } from "../config/secret-text.ts";
import type { DispatchedCall, Dispatcher } from "../dispatch/dispatcher.ts";
import { RrError, withTexts } from "../errors.ts";
import type { WorkerRequest } from "../goridge/worker-protocol.ts";
import type { PieceLimits } from "../grpc/dispatch-sizes.ts";
import { toErrorDetail } from "../grpc/status.ts";
import type { Log } from "../log.ts";
import type { CallSink } from "../pool/call.ts";
import type { FileOwner } from "../spool/spool-folder.ts";
import type { ReplyPart } from "../worker/execution.ts";
import type { CallGate } from "./call-gate.ts";
import { CallIntake, type IntakeListener, type IntakeSettings, payloadTooLarge } from "./call-intake.ts";
import { ReplyFlow, type ReplyFlowOwner, type ReplyStream } from "./reply-flow.ts";
import type { SpillRules } from "./spilled-reply.ts";

/** What the calls of all streams share. */
export interface SessionServices {
  readonly dispatcher: Dispatcher;
  readonly gate: CallGate;
  readonly intake: IntakeSettings;
  readonly limits: PieceLimits;
  readonly spillRules: SpillRules;
  /** Takes secrets out of texts of errors. */
  readonly redact: Redact;
  readonly log: Log;
  /** Who reads the files of a pool's calls. Throws an RrError for a pool that is not there. */
  readonly fileOwner: (pool: string) => FileOwner;
}

/** The stream that a call belongs to. */
export interface CallStream extends ReplyStream {
  send(event: CallEvent): void;
  /** Bytes of a reply that were sent. */
  sentReply(bytes: number): void;
  ended(callId: number): void;
}

/** What a caller gets that names no window. */
const DEFAULT_WINDOW_BYTES = 256 * 1024;

/** One call of a dispatch stream. */
export class StreamCall implements CallSink, IntakeListener, ReplyFlowOwner {
  readonly #id: number;
  readonly #open: OpenCall;
  readonly #stream: CallStream;
  readonly #services: SessionServices;
  readonly #flow: ReplyFlow;
  /** Undefined for calls that came whole. */
  #intake: CallIntake | undefined;
  #call: DispatchedCall | undefined;

  constructor(id: number, open: OpenCall, stream: CallStream, services: SessionServices) {
    this.#id = id;
    this.#open = open;
    this.#stream = stream;
    this.#services = services;
    const windowBytes = open.unlimitedWindow ? Number.POSITIVE_INFINITY : open.windowBytes || DEFAULT_WINDOW_BYTES;
    this.#flow = new ReplyFlow(windowBytes, stream, this);
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
    this.#flow.grant(bytes);
  }

  cancel(): void {
    this.#flow.end();
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
    return this.#flow.accept(part, pid);
  }

  failed(error: RrError): void {
    this.#flow.end();
    this.#stream.ended(this.#id);
    this.#stream.send(errorEvent(this.#id, withTexts(error, this.#services.redact), this.#stream.limits));
  }

  retried(attempts: number): void {
    this.#send({ case: "retried", value: { $typeName: "roadrunner.dispatch.v1.CallRetried", attempts } });
  }

  settled(): void {
    this.#intake?.release();
  }

  // What the flow of the reply says.

  send({ context, body, codec, more }: ReplyPart, pid: number): void {
    this.#stream.sentReply(context.length + body.length);
    if (!more) this.#stream.ended(this.#id);
    this.#send({
      case: "reply",
      value: { $typeName: "roadrunner.dispatch.v1.Reply", context, body, codec: codec as Codec, more, pid },
    });
  }

  resumeWorker(): void {
    this.#call?.resume();
  }

  headTooLarge(bytes: number): void {
    const { payloadBytes } = this.#stream.limits;
    const message = `the head of the reply has ${bytes} bytes, but a message holds ${payloadBytes}: answer with a smaller one, or raise control.max_message_size`;
    this.#call?.cancel();
    this.failed(new RrError("PAYLOAD_TOO_LARGE", message, { metadata: { limit_bytes: payloadBytes } }));
  }

  replyLost(thrown: unknown): void {
    const { message } = RrError.from(thrown);
    this.#call?.cancel();
    this.failed(new RrError("INTERNAL", `the rest of the reply was on the disk and cannot be read: ${message}`));
  }

  #send(event: CallEvent["event"]): void {
    this.#stream.send({ $typeName: "roadrunner.dispatch.v1.CallEvent", callId: this.#id, event });
  }
}

/** Texts of errors are cut to so many characters. */
const ERROR_CHARACTERS_MAX = 64 * 1024;

export function errorEvent(callId: number, error: RrError, { payloadBytes }: PieceLimits): CallEvent {
  // With room for its metadata, and for three bytes a character.
  const characters = Math.min(ERROR_CHARACTERS_MAX, Math.floor(payloadBytes / 6));
  const detail = toErrorDetail(error, characters);
  return {
    $typeName: "roadrunner.dispatch.v1.CallEvent",
    callId,
    event: { case: "error", value: { $typeName: "roadrunner.errors.v1.ErrorDetail", ...detail } },
  };
}
