import type {
  CallCommand,
  CallEvent,
  DispatchStreamRequest,
  DispatchStreamResponse,
  OpenCall,
} from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { Turns, type Waiting } from "../async/turns.ts";
import { Waiters } from "../async/waiters.ts";
import { RrError } from "../errors.ts";
import { BATCH_BYTES, BatchQueue } from "../grpc/batch-queue.ts";
import { eventBytes } from "../grpc/dispatch-sizes.ts";
import { requireDecoded } from "../grpc/service-definition.ts";
import { IdMap } from "../id-map.ts";
import { toResponseCounts } from "./convert.ts";
import { openProblem } from "./open-call-rules.ts";
import { Patience } from "./stall.ts";
import { type CallStream, errorEvent, type SessionServices, StreamCall } from "./stream-call.ts";
import { StreamWindow } from "./stream-window.ts";

/** A message costs more than the events in it: so many turns of the event loop it may wait while each brings more. */
const BATCH_TURNS_MAX = 4;
/** While so much waits for the reader, replies wait where they are. */
const REPLY_BYTES_MAX = 4 * 1024 * 1024;
/** The same for the number of pieces: a small one costs more than its bytes. */
const REPLY_EVENTS_MAX = 8_192;
/** While so much waits for the reader, nothing more is heard of it either: commands bring events, too. */
const EVENT_BYTES_MAX = 2 * REPLY_BYTES_MAX;
/** Of replies that are complete and wait for the reader. */
const HELD_BYTES_MAX = 4 * 1024 * 1024;
const CALLS_MAX = 65_536;

/**
 * One dispatch stream: commands of many calls come in, events of many calls go out. Events leave in one message, after
 * the first turn of the event loop that brought none: an idle server waits for nothing, a busy one for a few answers.
 */
export class DispatchSession implements CallStream {
  readonly #services: SessionServices;
  readonly #calls = new IdMap<StreamCall>();
  readonly #events: BatchQueue<CallEvent>;
  readonly #window = new StreamWindow();
  /** Calls with replies that wait: for the reader, and for the window of the stream. */
  readonly #waitingForRoom = new Turns();
  readonly #waitingForWindow = new Turns();
  readonly patience = new Patience();
  readonly heldBytesMax = HELD_BYTES_MAX;
  heldBytes = 0;
  readonly #eventsTaken = new Waiters();
  #wake: (() => void) | undefined;
  #reservedBytes = 0;
  #inputEnded = false;
  #failure: RrError | undefined;

  constructor(services: SessionServices) {
    this.#services = services;
    this.#events = new BatchQueue(services.limits.messageBytes);
  }

  /** Takes commands until the caller ends its side. Cancels all open calls if it breaks. */
  async consume(requests: AsyncIterable<DispatchStreamRequest>): Promise<void> {
    try {
      for await (const request of requests) {
        requireDecoded(request);
        for (const command of request.commands) this.#command(command);
        await this.#ready();
      }
      this.#inputEnded = true;
      this.#wake?.();
    } catch (thrown) {
      // The caller left, or said what nobody can read.
      const error = RrError.from(thrown);
      if (error.reason !== "INTERNAL") this.#failure = error;
      this.#services.log.debug({ stack: error.stack }, `a dispatch stream ended: ${error.message}`);
      this.close();
    }
  }

  /** A disk that is slower than all callers together, or a caller that does not read, stops the reading. */
  async #ready(): Promise<void> {
    const { room } = this.#services.intake.spool;
    if (room) await room;
    while (this.#events.bytes > EVENT_BYTES_MAX && !this.#inputEnded) await this.#eventsTaken.wait();
  }

  /** Batches of events until the caller has ended its side and no call is open. */
  async *output(): AsyncGenerator<DispatchStreamResponse> {
    for (;;) {
      if (this.#failure) throw this.#failure;
      if (this.#events.length === 0) {
        if (this.#inputEnded && this.#calls.size === 0) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        continue;
      }
      const events = this.#events.take();
      this.#eventsTaken.wakeAll();
      this.#waitingForRoom.give(() => this.hasRoom);
      yield { $typeName: "roadrunner.dispatch.v1.DispatchStreamResponse", events };
    }
  }

  /** The caller is gone: nobody wants the replies. */
  close(): void {
    this.#inputEnded = true;
    for (const [callId, call] of this.#calls.entries()) {
      this.ended(callId);
      call.cancel();
    }
    this.#eventsTaken.wakeAll();
    this.#wake?.();
  }

  // For the calls.

  send(event: CallEvent): void {
    this.#events.push(event, eventBytes(event));
    // The first event arms the wake-up; others join it.
    if (this.#events.length === 1 && this.#wake) this.#wakeAfter(BATCH_TURNS_MAX, 0);
  }

  sentReply(bytes: number): void {
    this.#window.sent(bytes);
  }

  ended(callId: number): void {
    if (this.#calls.delete(callId)) this.#services.gate.left();
  }

  get limits(): SessionServices["limits"] {
    return this.#services.limits;
  }

  get spillRules(): SessionServices["spillRules"] {
    return this.#services.spillRules;
  }

  reserve(bytes: number): void {
    this.#reservedBytes += bytes;
    if (bytes < 0) this.#waitingForRoom.give(() => this.hasRoom);
  }

  get hasRoom(): boolean {
    if (this.#events.length >= REPLY_EVENTS_MAX) return false;
    return this.#events.bytes + this.#reservedBytes < REPLY_BYTES_MAX;
  }

  get aheadBytesMax(): number {
    return this.#window.aheadBytesMax;
  }

  awaitRoom(flow: Waiting): void {
    this.#waitingForRoom.join(flow);
  }

  awaitWindow(flow: Waiting): void {
    this.#waitingForWindow.join(flow);
  }

  leave(flow: Waiting): void {
    this.#waitingForRoom.leave(flow);
    this.#waitingForWindow.leave(flow);
  }

  #wakeAfter(turns: number, eventsBefore: number): void {
    setImmediate(() => {
      const { length, bytes } = this.#events;
      if (turns > 0 && length > eventsBefore && bytes < BATCH_BYTES) this.#wakeAfter(turns - 1, length);
      else this.#wake?.();
    });
  }

  // What the caller says.

  /** A mistake in one command, of the caller or of this program, ends its call and no other. */
  #command(command: CallCommand): void {
    const { callId } = command;
    try {
      this.#obey(command);
    } catch (thrown) {
      const error = RrError.from(thrown);
      const fields = { call_id: callId, command: command.command.case, stack: (thrown as Error | undefined)?.stack };
      this.#services.log.error(fields, `a command of a dispatch stream could not be carried out: ${error.message}`);
      this.#calls.get(callId)?.cancel();
      this.#fail(callId, error);
    }
  }

  #obey({ callId, command }: CallCommand): void {
    if (command.case === "open") return this.#open(callId, command.value);
    if (command.case === "streamWindow") return this.#widen(() => this.#window.add(command.value.bytes));
    if (command.case === "responses")
      return this.#services.dispatcher.countResponses(command.value.pool, toResponseCounts(command.value));
    if (command.case === "grant") this.#widen(() => this.#window.granted(command.value.bytes));
    // Commands of calls that have ended meanwhile are late, not wrong.
    const call = this.#calls.get(callId);
    if (!call) return;
    if (command.case === "grant") call.grant(command.value.bytes);
    else if (command.case === "body") call.body(command.value);
    else if (command.case === "file") call.file(command.value);
    else if (command.case === "cancel") {
      call.cancel();
      this.#fail(callId, new RrError("CANCELLED", "the caller cancelled the call"));
    }
  }

  #widen(change: () => void): void {
    change();
    if (this.#waitingForWindow.length === 0 || this.aheadBytesMax !== Number.POSITIVE_INFINITY) return;
    this.#waitingForWindow.give(() => this.hasRoom && this.aheadBytesMax === Number.POSITIVE_INFINITY);
  }

  #open(callId: number, open: OpenCall): void {
    const problem = this.#refusal(callId, open);
    if (problem) return this.send(errorEvent(callId, problem, this.limits));
    this.#services.gate.entered();
    const call = new StreamCall(callId, open, this, this.#services);
    this.#calls.set(callId, call);
    call.start();
  }

  #refusal(callId: number, open: OpenCall): RrError | undefined {
    if (this.#services.gate.closed) return new RrError("DRAINING", "the server is stopping");
    if (this.#calls.has(callId))
      return new RrError(
        "INVALID_REQUEST",
        `call id ${callId} is in use: choose one that no open call of the stream has`,
      );
    if (this.#calls.size < CALLS_MAX) return openProblem(open);
    const message = `the stream has ${CALLS_MAX} open calls, more are not allowed: wait for some to end`;
    return new RrError("QUEUE_FULL", message, { metadata: { limit: CALLS_MAX }, retryAfterMs: 1000 });
  }

  #fail(callId: number, error: RrError): void {
    this.ended(callId);
    this.send(errorEvent(callId, error, this.limits));
  }
}
