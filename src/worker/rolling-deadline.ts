import type { Clock } from "../clock.ts";

/**
 * A deadline that is set anew with every call. One timer serves them all: when it fires it looks at the time and sleeps
 * on, so that a call costs no timer of its own.
 */
export class RollingDeadline {
  readonly #limitMs: number;
  readonly #clock: Clock;
  readonly #expired: () => void;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

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
    this.#timer ??= setTimeout(() => this.#look(), this.#limitMs);
  }

  /** Until the next start. */
  stop(): void {
    this.#deadlineMs = Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.stop();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#deadlineMs === Number.POSITIVE_INFINITY) return;
    const leftMs = this.#deadlineMs - this.#clock.monotonicMs();
    // Timers fire up to a millisecond early.
    if (leftMs > 0.5) this.#timer = setTimeout(() => this.#look(), leftMs);
    else {
      this.stop();
      this.#expired();
    }
  }
}
