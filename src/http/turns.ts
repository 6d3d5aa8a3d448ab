import type { Clock, StopTimer } from "../clock.ts";

export interface Turn {
  /** Settles when it is this one's turn; with false if it ended before that, or waited too long. */
  readonly came: Promise<boolean>;
  /** The next one may begin. Once is enough; more do no harm. */
  end(): void;
}

interface Waiting {
  readonly size: number;
  readonly settle: (came: boolean) => void;
}

/**
 * Work that must not be done side by side, because each takes much memory: one at a time, the smallest first, so that
 * many large ones do not hold up a small one.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiting>();
  #busy = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** @param size by which the smallest is found; equal ones keep their order */
  take(size: number, waitMaxMs: number): Turn {
    let stopTimer: StopTimer = () => {};
    let settled: "no" | "came" | "over" = "no";
    let settle: (came: boolean) => void = () => {};
    const came = new Promise<boolean>((resolve) => {
      settle = (has) => {
        stopTimer();
        this.#waiting.delete(entry);
        settled = has ? "came" : "over";
        resolve(has);
      };
    });
    const entry: Waiting = { size, settle };
    this.#waiting.add(entry);
    stopTimer = this.#clock.after(waitMaxMs, () => settle(false));
    this.#next();
    return {
      came,
      end: () => {
        if (settled === "no") return settle(false);
        if (settled === "over") return;
        settled = "over";
        this.#busy = false;
        this.#next();
      },
    };
  }

  #next(): void {
    if (this.#busy) return;
    let smallest: Waiting | undefined;
    for (const entry of this.#waiting) if (smallest === undefined || entry.size < smallest.size) smallest = entry;
    if (smallest === undefined) return;
    this.#busy = true;
    smallest.settle(true);
  }
}
