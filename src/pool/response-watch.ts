import type { Clock } from "../clock.ts";

/** Responses of an application by the class of their status; absent: none. */
export type ResponseCounts = Readonly<Partial<Record<"1xx" | "2xx" | "3xx" | "4xx" | "5xx", number>>>;

export interface ErrorResponses {
  /** Of class 5xx, and all, since the last time that this was told. */
  readonly failed: number;
  readonly all: number;
}

/** The first failed responses are told at once; how many follow, after so long. */
const TELL_AGAIN_MS = 10_000;

/**
 * Notices an application that answers, and answers that it failed: after a deployment that boots and then fails at
 * everything, all calls succeed as far as the pool can see.
 */
export class ResponseWatch {
  readonly #clock: Clock;
  readonly #tell: (counts: ErrorResponses) => void;
  #failed = 0;
  #all = 0;
  #waiting = false;

  constructor(clock: Clock, tell: (counts: ErrorResponses) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  counted(counts: ResponseCounts): void {
    this.#all += Object.values(counts).reduce((sum, count) => sum + count, 0);
    this.#failed += counts["5xx"] ?? 0;
    if (!this.#waiting) this.#tellNow();
  }

  #tellNow(): void {
    const counts = { failed: this.#failed, all: this.#all };
    this.#failed = 0;
    this.#all = 0;
    if (counts.failed === 0) return;
    this.#tell(counts);
    this.#waiting = true;
    this.#clock.after(TELL_AGAIN_MS, () => {
      this.#waiting = false;
      this.#tellNow();
    });
  }
}
