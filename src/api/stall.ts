import type { Clock, StopTimer } from "../clock.ts";

/** A reader that takes nothing for so long is a slow one, */
const PAUSE_MS = 250;
/** and so is one that made its worker wait for so long in all. */
const PAUSES_MS = 1_000;

/**
 * Tells a slow reader from one that is about to take more: only for slow ones something is put on the disk, and a fast
 * one must never come to that.
 */
export class Stall {
  readonly #clock: Clock;
  readonly #tooLong: () => void;
  #sinceMs = 0;
  #pausesMs = 0;
  #stop: StopTimer | undefined;

  constructor(clock: Clock, tooLong: () => void) {
    this.#clock = clock;
    this.#tooLong = tooLong;
  }

  /** A worker begins to wait. */
  begin(): void {
    this.#arm(Math.max(1, Math.min(PAUSE_MS, PAUSES_MS - this.#pausesMs)));
  }

  /** It was too long, and nothing could be done for it: tells again, but not at once, however long it was in all. */
  again(): void {
    this.#arm(PAUSE_MS);
  }

  #arm(delayMs: number): void {
    if (this.#stop) return;
    this.#sinceMs = this.#clock.monotonicMs();
    this.#stop = this.#clock.after(delayMs, () => {
      this.#stop = undefined;
      this.#pausesMs += this.#clock.monotonicMs() - this.#sinceMs;
      this.#tooLong();
    });
  }

  /** It goes on, or is not needed any more. */
  end(): void {
    if (!this.#stop) return;
    this.#stop();
    this.#stop = undefined;
    this.#pausesMs += this.#clock.monotonicMs() - this.#sinceMs;
  }
}
