import type { Clock, StopTimer } from "../clock.ts";
import type { RrError } from "../errors.ts";
import { respawnDelayMs } from "./respawn.ts";

/** Failures to boot in a row, and the pause before the next attempt that they make necessary. */
export class BootBackoff {
  readonly #clock: Clock;
  readonly #retry: () => void;
  #failuresInARow = 0;
  #lastError: RrError | undefined;
  #retryAtMs = 0;
  #stopTimer: StopTimer | undefined;

  /** @param retry a pause is over */
  constructor(clock: Clock, retry: () => void) {
    this.#clock = clock;
    this.#retry = retry;
  }

  get failuresInARow(): number {
    return this.#failuresInARow;
  }

  /** Undefined before the first failure. */
  get lastError(): RrError | undefined {
    return this.#lastError;
  }

  /** Nothing should boot before the pause is over. */
  get pausing(): boolean {
    return this.#stopTimer !== undefined;
  }

  /** Milliseconds. */
  get remainingMs(): number {
    return Math.max(0, this.#retryAtMs - this.#clock.monotonicMs());
  }

  failed(error: RrError): void {
    this.#failuresInARow++;
    this.#lastError = error;
  }

  /** Begins the pause that is due; false if none is. */
  pause(): boolean {
    const delayMs = respawnDelayMs(this.#failuresInARow);
    if (delayMs === 0) return false;
    this.#retryAtMs = this.#clock.monotonicMs() + delayMs;
    this.#stopTimer = this.#clock.after(delayMs, () => {
      this.#stopTimer = undefined;
      this.#retry();
    });
    return true;
  }

  /** Boots work again: no pause is due any more. */
  succeeded(): void {
    this.#failuresInARow = 0;
    this.close();
  }

  close(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }
}
