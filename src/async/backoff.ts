export interface BackoffSettings {
  /** The pause after the first failure, in milliseconds. */
  readonly firstMs: number;
  readonly maxMs: number;
  /** How much longer each pause is than the one before. */
  readonly factor: number;
}

/** Pauses between attempts that grow with each failure in a row and start anew after a success. */
export class Backoff {
  readonly #settings: BackoffSettings;
  #failuresInARow = 0;

  constructor(settings: BackoffSettings) {
    this.#settings = settings;
  }

  get failuresInARow(): number {
    return this.#failuresInARow;
  }

  /** Counts a failure. Returns the pause before the next attempt, in milliseconds. */
  failed(): number {
    const { firstMs, maxMs, factor } = this.#settings;
    const pauseMs = Math.min(maxMs, firstMs * factor ** this.#failuresInARow);
    this.#failuresInARow++;
    return pauseMs;
  }

  succeeded(): void {
    this.#failuresInARow = 0;
  }
}
