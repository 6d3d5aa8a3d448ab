/**
 * Callbacks that wait for something to happen. Whoever wakes them takes them out at that moment, so none is called twice
 * and none is lost in a list that nobody looks at any more.
 */
export class Waiters {
  #callbacks: (() => void)[] = [];

  get size(): number {
    return this.#callbacks.length;
  }

  add(callback: () => void): void {
    this.#callbacks.push(callback);
  }

  /** Settles at the next `wakeAll`. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.add(resolve));
  }

  /** Calls the first so many of those that wait now. */
  wake(count: number): void {
    for (const callback of this.#callbacks.splice(0, count)) callback();
  }

  /** Calls all that wait now; those that are added meanwhile wait for the next time. */
  wakeAll(): void {
    if (this.#callbacks.length === 0) return;
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    for (const callback of callbacks) callback();
  }
}
