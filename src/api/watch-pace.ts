import { type Clock, systemClock } from "../clock.ts";

/**
 * How often those who watch the same are told: at the interval that each wants, and less often when there are many, so
 * that all together cost the server a bounded share of its time.
 */
export class WatchPace {
  readonly #messageMs: number;
  readonly #clock: Clock;
  #watchers = 0;

  /** @param messageMs the least time between two messages, whoever gets them */
  constructor(messageMs: number, clock: Clock = systemClock) {
    this.#messageMs = messageMs;
    this.#clock = clock;
  }

  /** Yields at once and then at every interval, until the signal is aborted. */
  async *ticks(intervalMs: number, signal: AbortSignal): AsyncGenerator<void> {
    this.#watchers++;
    try {
      while (!signal.aborted) {
        yield;
        await this.#wait(Math.max(intervalMs, this.#watchers * this.#messageMs), signal);
      }
    } finally {
      this.#watchers--;
    }
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        stop();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const stop = this.#clock.after(ms, done);
      signal.addEventListener("abort", done);
    });
  }
}

/** A value that is made again when it is older than that, however many ask for it. */
export class Shared<Value> {
  readonly #ageMsMax: number;
  readonly #make: () => Promise<Value>;
  readonly #clock: Clock;
  #madeAtMs = Number.NEGATIVE_INFINITY;
  #value: Promise<Value> | undefined;

  constructor(ageMsMax: number, make: () => Promise<Value>, clock: Clock = systemClock) {
    this.#ageMsMax = ageMsMax;
    this.#make = make;
    this.#clock = clock;
  }

  get(): Promise<Value> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#value && nowMs - this.#madeAtMs < this.#ageMsMax) return this.#value;
    this.#madeAtMs = nowMs;
    const made = this.#make();
    this.#value = made;
    made.catch(() => {
      if (this.#value === made) this.#value = undefined;
    });
    return made;
  }
}
