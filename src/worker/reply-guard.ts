/** Errors that no call asked for are accidents; more than this between two answers are none. */
const SURPLUS_ERRORS_MAX = 8;

export interface GuardedWorker {
  /** Asks the worker who it is. It answers that after everything that it was asked before. */
  askWhoItIs(): void;
  /** An error belonged to no call and was forgotten. */
  errorDropped(text: string): void;
  /** It sends errors and nothing else. */
  errorFlood(text: string): void;
}

/**
 * Keeps errors from reaching the wrong caller.
 *
 * The sample worker of the original's manual answers a request that failed and then reports an error on top. If that
 * error arrives after the next request was sent, it looks like its answer, and from then on every caller would get the
 * answer of the one before. So an error is held until the worker, asked who it is, says so: a worker that is still busy
 * with the request answers that first.
 */
export class ReplyGuard {
  readonly #worker: GuardedWorker;
  /** An error of which it is not certain yet that it answers the present call. */
  #heldError: string | undefined;
  /** How often the worker was asked who it is and has not said so yet. */
  #introductionsDue = 0;
  #surplusErrors = 0;

  constructor(worker: GuardedWorker) {
    this.#worker = worker;
  }

  /** The error that the present call may have failed with. */
  get heldError(): string | undefined {
    return this.#heldError;
  }

  /** The worker reported an error while it had a call. */
  error(text: string): void {
    this.replied();
    this.#heldError = text;
    this.#introductionsDue++;
    if (this.#introductionsDue > SURPLUS_ERRORS_MAX) this.#worker.errorFlood(text);
    else this.#worker.askWhoItIs();
  }

  /** The worker reported an error while it had none. */
  surplusError(text: string): void {
    this.#surplusErrors++;
    if (this.#surplusErrors > SURPLUS_ERRORS_MAX) this.#worker.errorFlood(text);
    else this.#worker.errorDropped(text);
  }

  /** Another answer followed the error that is held, so it belonged to the call before. */
  replied(): void {
    const text = this.#heldError;
    if (text === undefined) return;
    this.#heldError = undefined;
    this.surplusError(text);
  }

  /** The worker said who it is although it had done so. "unasked", or whether the held error is certain now. */
  introduced(): "unasked" | "certain" | "uncertain" {
    if (this.#introductionsDue === 0) return "unasked";
    this.#introductionsDue--;
    return this.#introductionsDue === 0 && this.#heldError !== undefined ? "certain" : "uncertain";
  }

  /** The call is over. */
  answered(): void {
    this.#heldError = undefined;
    this.#surplusErrors = 0;
  }
}
