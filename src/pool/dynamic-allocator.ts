import type { Clock, StopTimer } from "../clock.ts";
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
  readonly #clock: Clock;
  readonly #target: AllocatorTarget;
  #extraWorkers = 0;
  #stopGrowTimer: StopTimer | undefined;
  #stopShrinkTimer: StopTimer | undefined;

  constructor(options: DynamicAllocatorOptions, clock: Clock, target: AllocatorTarget) {
    this.#options = options;
    this.#clock = clock;
    this.#target = target;
  }

  get extraWorkers(): number {
    return this.#extraWorkers;
  }

  callQueued(): void {
    this.#stopGrowTimer ??= this.#clock.after(WAIT_BEFORE_GROWTH_MS, () => this.#growIfNeeded());
  }

  close(): void {
    this.#stopGrowTimer?.();
    this.#stopShrinkTimer?.();
  }

  #growIfNeeded(): void {
    this.#stopGrowTimer = undefined;
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
    this.#stopShrinkTimer?.();
    this.#stopShrinkTimer = this.#clock.after(this.#options.idleTimeoutMs, () => {
      this.#extraWorkers = 0;
      this.#target.changed(0, false);
    });
  }
}
