import type { Clock, StopTimer } from "../clock.ts";

const PATIENCE_MS = 250;
const PATIENCE_MS_MIN = 2;
/** Given back for every reader that went on in time. */
const PATIENCE_MS_STEP = 10;
/** Of a reader that stops again and again, in all. */
const PAUSES = 4;

/**
 * How long workers wait for readers of a stream before something is put on the disk for them. A reader that is about to
 * take more must never come to that; but where one reader after the other turns out to have stopped, each further one
 * would cost its worker the same time again.
 */
export class Patience {
  #ms = PATIENCE_MS;

  get ms(): number {
    return this.#ms;
  }

  wentOn(): void {
    this.#ms = Math.min(PATIENCE_MS, this.#ms + PATIENCE_MS_STEP);
  }

  hadStopped(): void {
    this.#ms = Math.max(PATIENCE_MS_MIN, this.#ms / 2);
  }
}

/** Tells when the reader of one reply has made its worker wait for too long: at a time, or in all. */
export class Stall {
  readonly #clock: Clock;
  readonly #patience: Patience;
  readonly #tooLong: () => void;
  #sinceMs = 0;
  #pausesMs = 0;
  #stop: StopTimer | undefined;

  constructor(clock: Clock, patience: Patience, tooLong: () => void) {
    this.#clock = clock;
    this.#patience = patience;
    this.#tooLong = tooLong;
  }

  /** A worker begins to wait. */
  begin(): void {
    const { ms } = this.#patience;
    this.#arm(Math.max(1, Math.min(ms, PAUSES * ms - this.#pausesMs)), () => this.#patience.hadStopped());
  }

  /** It was too long, and nothing could be done for it: tells again, but not at once, however long it was in all. */
  again(): void {
    this.#arm(PATIENCE_MS, () => {});
  }

  #arm(delayMs: number, learn: () => void): void {
    if (this.#stop) return;
    this.#sinceMs = this.#clock.monotonicMs();
    this.#stop = this.#clock.after(delayMs, () => {
      this.#over();
      learn();
      this.#tooLong();
    });
  }

  /** It goes on. */
  end(): void {
    if (!this.#stop) return;
    this.#stop();
    this.#over();
    this.#patience.wentOn();
  }

  /** It is not needed any more. */
  cancel(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #over(): void {
    this.#stop = undefined;
    this.#pausesMs += this.#clock.monotonicMs() - this.#sinceMs;
  }
}
