import type { DynamicAllocatorOptions } from "../config/options.ts";

/** Calls that still wait after this time show that the workers are too few. */
const WAIT_BEFORE_GROWTH_MS = 100;

export interface AllocatorTarget {
  queueLength(): number;
  /** The number of extra workers is another one now. */
  changed(extraWorkers: number, grew: boolean): void;
}

/**
 * Adds workers, some at a time, while calls wait; takes all extra ones away when none was needed for a while. It only
 * says how many there should be.
 */
export class DynamicAllocator {
  readonly #options: DynamicAllocatorOptions;
  readonly #target: AllocatorTarget;
  #extraWorkers = 0;
  #growTimer: NodeJS.Timeout | undefined;
  #shrinkTimer: NodeJS.Timeout | undefined;

  constructor(options: DynamicAllocatorOptions, target: AllocatorTarget) {
    this.#options = options;
    this.#target = target;
  }

  get extraWorkers(): number {
    return this.#extraWorkers;
  }

  callQueued(): void {
    this.#growTimer ??= setTimeout(() => this.#growIfNeeded(), WAIT_BEFORE_GROWTH_MS);
  }

  close(): void {
    clearTimeout(this.#growTimer);
    clearTimeout(this.#shrinkTimer);
  }

  #growIfNeeded(): void {
    this.#growTimer = undefined;
    if (this.#target.queueLength() === 0) return;
    this.#armShrink();
    const grown = Math.min(this.#extraWorkers + this.#options.spawnRate, this.#options.maxWorkers);
    if (grown > this.#extraWorkers) {
      this.#extraWorkers = grown;
      this.#target.changed(grown, true);
    }
    this.callQueued();
  }

  #armShrink(): void {
    clearTimeout(this.#shrinkTimer);
    this.#shrinkTimer = setTimeout(() => {
      this.#extraWorkers = 0;
      this.#target.changed(0, false);
    }, this.#options.idleTimeoutMs);
    this.#shrinkTimer.unref();
  }
}
