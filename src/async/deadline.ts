import { type Clock, type StopTimer, systemClock } from "../clock.ts";

/**
 * One moment by which something has to be over, shared by all that takes part in it: each part asks what is left, none
 * gets a period of its own. Moments are those of the clock's monotonic time.
 */
export class Deadline {
  /** Monotonic milliseconds. */
  readonly atMs: number;
  readonly #clock: Clock;
  #signal: AbortSignal | undefined;

  private constructor(atMs: number, clock: Clock) {
    this.atMs = atMs;
    this.#clock = clock;
  }

  /** @param ms milliseconds from now; 0: it has passed already */
  static after(ms: number, clock: Clock = systemClock): Deadline {
    return new Deadline(clock.monotonicMs() + ms, clock);
  }

  /** Milliseconds, never less than 0. */
  get remainingMs(): number {
    return Math.max(0, this.atMs - this.#clock.monotonicMs());
  }

  get passed(): boolean {
    return this.remainingMs === 0;
  }

  /** One that comes so much earlier, to leave time for what follows; never before now. */
  earlier(ms: number): Deadline {
    return new Deadline(Math.max(this.#clock.monotonicMs(), this.atMs - ms), this.#clock);
  }

  /** The sooner of this one and one in so many milliseconds. */
  within(ms: number): Deadline {
    return new Deadline(Math.min(this.atMs, this.#clock.monotonicMs() + ms), this.#clock);
  }

  /** Aborts when the moment comes. Its timer keeps no process alive for longer than the deadline itself. */
  get signal(): AbortSignal {
    if (this.#signal) return this.#signal;
    const controller = new AbortController();
    this.#signal = controller.signal;
    if (this.passed) controller.abort();
    else this.#clock.after(this.remainingMs, () => controller.abort());
    return this.#signal;
  }

  /** Settles when the moment comes. */
  async elapsed(): Promise<void> {
    if (!this.passed) await this.race(new Promise<never>(() => {}));
  }

  /** Settles with what the promise gives, or with undefined when the moment comes first. Rejects as the promise does. */
  async race<T>(promise: Promise<T>): Promise<T | undefined> {
    let stop: StopTimer = () => {};
    const late = new Promise<undefined>((resolve) => {
      stop = this.#clock.after(this.remainingMs, () => resolve(undefined));
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      stop();
    }
  }
}
