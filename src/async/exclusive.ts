/**
 * Lets tasks run one after another, in the order in which they were asked for. One that gives up while it waits leaves at
 * once and never starts; those behind it still wait for those before.
 */
export class Exclusive {
  #last: Promise<unknown> = Promise.resolve();

  /** Rejects with the signal's reason if that aborts before the task has its turn; afterwards the task has to look at it. */
  run<Result>(task: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    const before = this.#last;
    const result = turnOf(before, signal).then(() => {
      signal.throwIfAborted();
      return task();
    });
    this.#last = Promise.allSettled([before, result]);
    return result;
  }

  /** Settles when all that was asked for until now is over. */
  async whenIdle(): Promise<void> {
    await this.#last;
  }
}

function turnOf(before: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    void before.then(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    });
  });
}
