import type { Clock, StopTimer } from "../clock.ts";
import { RrError } from "../errors.ts";
import type { PoolReporter } from "./pool-reporter.ts";

/** How often a worker is booted only to see whether that works again, while nothing else boots one. */
const TRIAL_EVERY_MS = 30_000;

/** What failed: a worker that was to replace or join others, or a whole generation that an operator asked for. */
export type TroubledBoot = "boot" | "reset";

export interface BootTroubleParts {
  readonly pool: string;
  readonly clock: Clock;
  readonly reporter: PoolReporter;
  /** Boots a worker and ends it. */
  readonly trial: () => Promise<void>;
  /** It began or is over. */
  readonly changed: () => void;
}

/**
 * New workers do not boot while old ones serve. What is on disk differs from what runs then, and the next worker to go
 * would not be replaced: so nobody is recycled until new ones boot again.
 */
export class BootTrouble {
  readonly #parts: BootTroubleParts;
  #began: { readonly boot: TroubledBoot; readonly atMs: number } | undefined;
  #error: RrError | undefined;
  /** Monotonic. */
  #lastFailureAtMs = Number.NEGATIVE_INFINITY;
  #stopTimer: StopTimer | undefined;

  constructor(parts: BootTroubleParts) {
    this.#parts = parts;
  }

  get exists(): boolean {
    return this.#began !== undefined;
  }

  /** Since when, why, and what that means, for operators; "" if all is well. */
  get reason(): string {
    if (!this.#began) return "";
    const since = new Date(this.#began.atMs).toISOString().replace(/\.\d+Z$/, "Z");
    const what =
      this.#began.boot === "reset" ? `the reset of ${since} failed` : `new workers do not boot since ${since}`;
    return `${what}: workers serve on with the code from before and are not recycled: ${this.#error!.message}`;
  }

  /** A boot has failed, which is not trouble yet. */
  noteFailure(): void {
    this.#lastFailureAtMs = this.#parts.clock.monotonicMs();
  }

  /** Whether a worker that became ready then shows that what is on disk boots; one of those from before does not. */
  disproves(readyAtMs: number): boolean {
    return readyAtMs > this.#lastFailureAtMs;
  }

  failed(boot: TroubledBoot, error: RrError): void {
    const { clock, reporter, changed } = this.#parts;
    this.noteFailure();
    this.#error = error;
    // Every failure is news: the next trial counts from it.
    this.close();
    this.#stopTimer = clock.after(TRIAL_EVERY_MS, () => void this.#try());
    if (this.#began) return;
    this.#began = { boot, atMs: clock.wallMs() };
    reporter.log.error({ reason: error.reason }, this.reason);
    reporter.event("pool.degraded", { reason: error.reason, message: this.reason });
    changed();
  }

  /** New workers boot again. */
  over(): void {
    const boot = this.#began?.boot;
    if (boot === undefined) return;
    const { pool, reporter, changed } = this.#parts;
    this.forget();
    const left = boot === "reset" ? `; "rrctl reset ${pool}" brings what is on disk to all of them` : "";
    const message = `new workers of pool "${pool}" boot again${left}`;
    reporter.log.info({}, message);
    reporter.event("pool.recovered", { message });
    changed();
  }

  /** It is over, and another event tells. */
  forget(): void {
    this.#began = undefined;
    this.close();
  }

  /** No more trials. */
  close(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  async #try(): Promise<void> {
    this.#stopTimer = undefined;
    try {
      await this.#parts.trial();
      this.over();
    } catch (thrown) {
      const error = RrError.from(thrown);
      if (error.reason !== "CANCELLED" && this.#began) this.failed(this.#began.boot, error);
    }
  }
}
