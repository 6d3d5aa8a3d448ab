import { type Clock, systemClock } from "../clock.ts";

/** Lets so many of a kind pass in so much time, and counts those that it holds back: for lines that strangers can cause. */
export class FloodGate {
  readonly #most: number;
  readonly #intervalMs: number;
  readonly #clock: Clock;
  #intervalEndsAtMs = Number.NEGATIVE_INFINITY;
  #passed = 0;
  #heldBack = 0;

  constructor(most: number, intervalMs: number, clock: Clock = systemClock) {
    this.#most = most;
    this.#intervalMs = intervalMs;
    this.#clock = clock;
  }

  /** Undefined: this one is held back. Otherwise how many were since the last one that passed. */
  pass(): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#intervalEndsAtMs) {
      this.#intervalEndsAtMs = nowMs + this.#intervalMs;
      this.#passed = 0;
    }
    if (this.#passed >= this.#most) {
      this.#heldBack++;
      return undefined;
    }
    this.#passed++;
    const heldBack = this.#heldBack;
    this.#heldBack = 0;
    return heldBack;
  }

  /** Tells the sentence with how many were held back before it, or not at all. */
  tell(sentence: string, tell: (sentence: string) => void): void {
    const heldBack = this.pass();
    if (heldBack === undefined) return;
    tell(heldBack === 0 ? sentence : `${sentence} (and ${heldBack} more like this before)`);
  }
}
