import type { RrError } from "../errors.ts";
import type { WorkerRequest } from "../goridge/worker-protocol.ts";
import type { Execution, ReplyPart } from "../worker/execution.ts";
import type { Worker } from "../worker/worker.ts";

/** Who asked. Exactly one of a reply part with `more: false` and `failed` ends a call, once. */
export interface CallSink {
  /** False: wait with further parts until `Call.resume`. The buffers must be used or copied at once. */
  reply(part: ReplyPart, pid: number): boolean;
  failed(error: RrError): void;
}

export interface CallOptions {
  request: WorkerRequest;
  /** It may run twice: it is tried again if its worker dies. */
  idempotent: boolean;
  /** "": none. */
  requestId: string;
}

/** What a call tells its pool. */
export interface CallOwner {
  callEnded(call: Call, error: RrError | undefined): void;
  callFailed(call: Call, error: RrError, answered: boolean): void;
  callWantsRerun(call: Call): void;
  callCancelled(call: Call): void;
}

/** One call from the moment a pool took it: it waits, runs on a worker, perhaps on a second one, and ends. */
export class Call implements Execution {
  readonly request: WorkerRequest;
  readonly idempotent: boolean;
  readonly requestId: string;
  readonly enqueuedAtMs: number;
  /** Monotonic; when the present worker took it. */
  startedAtMs = 0;
  /** How often a worker took it. */
  attempts = 0;
  worker: Worker | undefined;
  readonly #sink: CallSink;
  readonly #owner: CallOwner;
  #ended = false;

  constructor(options: CallOptions, sink: CallSink, owner: CallOwner, nowMs: number) {
    this.request = options.request;
    this.idempotent = options.idempotent;
    this.requestId = options.requestId;
    this.enqueuedAtMs = nowMs;
    this.#sink = sink;
    this.#owner = owner;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The sink can take more. */
  resume(): void {
    this.worker?.resumeReply();
  }

  /** The caller lost interest: the sink hears nothing further. */
  cancel(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.worker?.abandon();
    this.#owner.callCancelled(this);
  }

  /** Ends the call with an error. */
  fail(error: RrError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#owner.callEnded(this, error);
    this.#sink.failed(error);
  }

  reply(part: ReplyPart, pid: number): boolean {
    if (!part.more) {
      this.#ended = true;
      this.#owner.callEnded(this, undefined);
    }
    return this.#sink.reply(part, pid);
  }

  failed(error: RrError, answered: boolean): void {
    if (!this.#ended) this.#owner.callFailed(this, error, answered);
  }

  rerun(): void {
    if (!this.#ended) this.#owner.callWantsRerun(this);
  }
}
