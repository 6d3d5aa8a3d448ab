import { type Clock, systemClock } from "../clock.ts";

const INTERVAL_MS = 1_000;

/** Says of refusals once a second, and how many there were meanwhile: whoever tries keys does not fill the disk. */
export class Refusals {
  readonly #clock: Clock;
  #nextAtMs = Number.NEGATIVE_INFINITY;
  #unsaid = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Counts one. Returns how many others were not told of before it; undefined: it is not to be told of itself. */
  count(): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#nextAtMs) {
      this.#unsaid++;
      return undefined;
    }
    this.#nextAtMs = nowMs + INTERVAL_MS;
    const unsaid = this.#unsaid;
    this.#unsaid = 0;
    return unsaid;
  }
}
