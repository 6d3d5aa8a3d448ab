import type { StopTimer } from "../clock.ts";
import type { ErrorReason, RrError } from "../errors.ts";
import type { WorkerRequest } from "../goridge/worker-protocol.ts";
import type { Execution, ReplyPart } from "../worker/execution.ts";
import type { Worker } from "../worker/worker.ts";
import type { Waiting } from "./wait-queue.ts";

/** Who asked. Exactly one of a reply part with `more: false` and `failed` ends a call, once. */
export interface CallSink {
  /** False: wait with further parts until `Call.resume`. The buffers must be used or copied at once. */
  reply(part: ReplyPart, pid: number): boolean;
  failed(error: RrError): void;
  /** Its worker died and the next one is about to begin the call: `attempts` in all, with that one. */
  retried?(attempts: number): void;
  /** Last, for every call, cancelled ones too: no worker needs the request any more. */
  settled?(): void;
}

export interface CallOptions {
  request: WorkerRequest;
  /** It may run twice: it is tried again if its worker dies. */
  idempotent: boolean;
  /** "": none. */
  requestId: string;
  /** Longest time for the whole call, in milliseconds, waiting included; 0 or absent: as long as the pool allows. */
  timeoutMs?: number;
  /** How many workers may begin the call, one after the other; 0 or absent: as many as the pool's own rule allows. */
  attemptsMax?: number;
}

/** What a call tells its pool. */
export interface CallOwner {
  callEnded(call: Call, error: RrError | undefined): void;
  callFailed(call: Call, error: RrError, answered: boolean): void;
  callWantsRerun(call: Call): void;
  /** Its caller gave it up (CANCELLED), or its caller's time is over (DEADLINE_EXCEEDED). */
  callLeftEarly(call: Call, reason: ErrorReason): void;
}

/** One call from the moment a pool took it: it waits, runs on a worker, perhaps on a second one, and ends. */
export class Call implements Execution, Waiting {
  readonly request: WorkerRequest;
  readonly idempotent: boolean;
  readonly requestId: string;
  readonly attemptsMax: number;
  readonly enqueuedAtMs: number;
  /** Monotonic; when the present worker took it. */
  startedAtMs = 0;
  /** How often a worker took it. */
  attempts = 0;
  worker: Worker | undefined;
  queueTicket = 0;
  readonly #sink: CallSink;
  readonly #owner: CallOwner;
  #ended = false;
  #stopTimer: StopTimer | undefined;
  /** A worker has the request. */
  #held = false;

  constructor(options: CallOptions, sink: CallSink, owner: CallOwner, nowMs: number) {
    this.request = options.request;
    this.idempotent = options.idempotent;
    this.requestId = options.requestId;
    this.attemptsMax = options.attemptsMax || Number.POSITIVE_INFINITY;
    this.enqueuedAtMs = nowMs;
    this.#sink = sink;
    this.#owner = owner;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** What stops the caller's time limit. */
  limitedBy(stopTimer: StopTimer): void {
    if (this.#ended) stopTimer();
    else this.#stopTimer = stopTimer;
  }

  /** A worker takes it. */
  runOn(worker: Worker, nowMs: number): void {
    this.attempts++;
    this.startedAtMs = nowMs;
    this.worker = worker;
    this.#held = true;
  }

  /** The sink can take more. */
  resume(): void {
    // Its worker may be at another call by now.
    if (!this.#ended) this.worker?.resumeReply();
  }

  /** The caller lost interest: the sink hears nothing further but `settled`. */
  cancel(): void {
    this.#leaveEarly("CANCELLED", undefined);
  }

  /** The caller's time is over. A worker that has not answered finishes, and its answer is dropped. */
  expire(error: RrError): void {
    this.#leaveEarly(error.reason, error);
  }

  /** Ends the call with an error. */
  fail(error: RrError): void {
    if (!this.#end()) return;
    this.#owner.callEnded(this, error);
    this.#sink.failed(error);
    this.#settleIfFree();
  }

  reply(part: ReplyPart, pid: number): boolean {
    if (!part.more && this.#end()) this.#owner.callEnded(this, undefined);
    const goOn = this.#sink.reply(part, pid);
    if (!part.more) this.#settleIfFree();
    return goOn;
  }

  /** The next worker is about to begin it. */
  retried(): void {
    this.#sink.retried?.(this.attempts + 1);
  }

  failed(error: RrError, answered: boolean): void {
    if (!this.#ended) this.#owner.callFailed(this, error, answered);
  }

  rerun(): void {
    if (!this.#ended) this.#owner.callWantsRerun(this);
  }

  released(): void {
    this.#held = false;
    // If it has not ended, its end follows, or another worker.
    if (this.#ended) this.#settleIfFree();
  }

  #leaveEarly(reason: ErrorReason, error: RrError | undefined): void {
    if (!this.#end()) return;
    this.worker?.abandon();
    this.#owner.callLeftEarly(this, reason);
    if (error) this.#sink.failed(error);
    this.#settleIfFree();
  }

  /** Whether this is the end: a call ends once. */
  #end(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#stopTimer?.();
    return true;
  }

  #settleIfFree(): void {
    if (!this.#held) this.#sink.settled?.();
  }
}
