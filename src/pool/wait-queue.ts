/** What waits: in order of arrival, bounded in number, each with a time at which it has waited long enough. */
export class WaitQueue<Item extends object> {
  readonly #lengthMax: number;
  readonly #deadlineMs = new Map<Item, number>();

  /** `lengthMax` 0: any number. */
  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax;
  }

  get length(): number {
    return this.#deadlineMs.size;
  }

  get full(): boolean {
    return this.#lengthMax > 0 && this.#deadlineMs.size >= this.#lengthMax;
  }

  /** All wait equally long, so that the oldest is also the first to time out. The caller has looked at `full`. */
  push(item: Item, deadlineMs: number): void {
    this.#deadlineMs.set(item, deadlineMs);
  }

  /** Removes and returns the oldest. */
  shift(): Item | undefined {
    const first = this.#deadlineMs.keys().next();
    if (first.done) return undefined;
    this.#deadlineMs.delete(first.value);
    return first.value;
  }

  remove(item: Item): boolean {
    return this.#deadlineMs.delete(item);
  }

  /** Removes and returns those whose time has come. */
  takeExpired(nowMs: number): Item[] {
    const expired: Item[] = [];
    for (const [item, deadlineMs] of this.#deadlineMs) {
      if (deadlineMs > nowMs) break;
      expired.push(item);
    }
    for (const item of expired) this.#deadlineMs.delete(item);
    return expired;
  }

  /** When the oldest has waited long enough; undefined if nothing waits. */
  get nextDeadlineMs(): number | undefined {
    const first = this.#deadlineMs.values().next();
    return first.done ? undefined : first.value;
  }

  /** Oldest first. */
  [Symbol.iterator](): Iterator<Item> {
    return this.#deadlineMs.keys();
  }

  takeAll(): Item[] {
    const all = [...this.#deadlineMs.keys()];
    this.#deadlineMs.clear();
    return all;
  }
}
