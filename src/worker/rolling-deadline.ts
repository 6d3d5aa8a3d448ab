import type { Clock, StopTimer } from "../clock.ts";

/**
 * A deadline that is set anew with every call. One timer serves them all: when it fires it looks at the time and sleeps
 * on, so that a call costs no timer of its own.
 */
export class RollingDeadline {
  readonly #limitMs: number;
  readonly #clock: Clock;
  readonly #expired: () => void;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #stopTimer: StopTimer | undefined;

  /** `limitMs` 0: never. */
  constructor(limitMs: number, clock: Clock, expired: () => void) {
    this.#limitMs = limitMs;
    this.#clock = clock;
    this.#expired = expired;
  }

  /** From now on. */
  start(): void {
    if (this.#limitMs === 0) return;
    this.#deadlineMs = this.#clock.monotonicMs() + this.#limitMs;
    this.#stopTimer ??= this.#clock.after(this.#limitMs, () => this.#look());
  }

  /** Until the next start. */
  stop(): void {
    this.#deadlineMs = Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.stop();
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #look(): void {
    this.#stopTimer = undefined;
    if (this.#deadlineMs === Number.POSITIVE_INFINITY) return;
    const leftMs = this.#deadlineMs - this.#clock.monotonicMs();
    // Timers fire up to a millisecond early.
    if (leftMs > 0.5) this.#stopTimer = this.#clock.after(leftMs, () => this.#look());
    else {
      this.stop();
      this.#expired();
    }
  }
}
