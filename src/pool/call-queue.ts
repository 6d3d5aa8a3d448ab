import type { Clock, StopTimer } from "../clock.ts";
import { type Waiting, WaitQueue } from "./wait-queue.ts";

export interface CallQueueSettings<Item> {
  /** Most that may wait; 0: any number. */
  readonly lengthMax: number;
  /** Longest wait. */
  readonly waitMs: number;
  readonly clock: Clock;
  /** These have waited long enough and are no longer in the queue. */
  readonly expired: (items: readonly Item[]) => void;
}

/** Calls that wait for a worker, and the timer that ends their patience. */
export class CallQueue<Item extends Waiting> {
  readonly #settings: CallQueueSettings<Item>;
  readonly #queue: WaitQueue<Item>;
  #stopTimer: StopTimer | undefined;

  constructor(settings: CallQueueSettings<Item>) {
    this.#settings = settings;
    this.#queue = new WaitQueue(settings.lengthMax);
  }

  get length(): number {
    return this.#queue.length;
  }

  get full(): boolean {
    return this.#queue.full;
  }

  /** The caller has looked at `full`. */
  push(item: Item): void {
    const { clock, waitMs } = this.#settings;
    this.#queue.push(item, clock.monotonicMs() + waitMs);
    this.#stopTimer ??= clock.after(waitMs, () => this.#look());
  }

  /** Removes and returns the oldest. */
  shift(): Item | undefined {
    return this.#queue.shift();
  }

  /** Whether it was there. */
  remove(item: Item): boolean {
    const found = this.#queue.remove(item);
    // After a `shift` the timer may stay: calls come and go far more often than it fires.
    if (this.#queue.length === 0) this.close();
    return found;
  }

  takeAll(): Item[] {
    return this.#queue.takeAll();
  }

  close(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #look(): void {
    this.#stopTimer = undefined;
    const { clock, expired } = this.#settings;
    const nowMs = clock.monotonicMs();
    const items = this.#queue.takeExpired(nowMs);
    const nextMs = this.#queue.nextDeadlineMs;
    if (nextMs !== undefined) this.#stopTimer = clock.after(Math.max(1, nextMs - nowMs), () => this.#look());
    if (items.length > 0) expired(items);
  }
}
