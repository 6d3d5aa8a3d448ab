/** What can wait in a queue. */
export interface Waiting {
  /** The queue's mark on it: where it stands. */
  queueTicket: number;
}

/** Places, a power of two. */
const PLACES_MIN = 64;

/**
 * What waits: in order of arrival, bounded in number, each with a time at which it has waited long enough. A ring whose
 * places are used again, for the reason that `IdMap` gives.
 */
export class WaitQueue<Item extends Waiting> {
  readonly #lengthMax: number;
  /** By ticket; undefined: it has left. */
  #items: (Item | undefined)[] = new Array(PLACES_MIN).fill(undefined);
  #deadlinesMs: number[] = new Array(PLACES_MIN).fill(0);
  #mask = PLACES_MIN - 1;
  /** Ticket of the oldest, if any waits. */
  #first = 0;
  #next = 0;
  #length = 0;

  /** `lengthMax` 0: any number. */
  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax;
  }

  get length(): number {
    return this.#length;
  }

  get full(): boolean {
    return this.#lengthMax > 0 && this.#length >= this.#lengthMax;
  }

  /** All wait equally long, so that the oldest is also the first to time out. The caller has looked at `full`. */
  push(item: Item, deadlineMs: number): void {
    if (this.#next - this.#first > this.#mask) this.#resize();
    item.queueTicket = this.#next;
    const place = this.#next & this.#mask;
    this.#items[place] = item;
    this.#deadlinesMs[place] = deadlineMs;
    this.#next++;
    this.#length++;
  }

  /** Removes and returns the oldest. */
  shift(): Item | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#items[this.#first & this.#mask]!;
    this.remove(item);
    return item;
  }

  /** Whether it was there. */
  remove(item: Item): boolean {
    const place = item.queueTicket & this.#mask;
    if (this.#items[place] !== item) return false;
    this.#items[place] = undefined;
    this.#length--;
    if (this.#length === 0) this.#first = this.#next;
    else while (this.#items[this.#first & this.#mask] === undefined) this.#first++;
    return true;
  }

  /** Removes and returns those whose time has come. */
  takeExpired(nowMs: number): Item[] {
    const expired: Item[] = [];
    while (this.#length > 0 && this.#deadlinesMs[this.#first & this.#mask]! <= nowMs) expired.push(this.shift()!);
    return expired;
  }

  /** When the oldest has waited long enough; undefined if nothing waits. */
  get nextDeadlineMs(): number | undefined {
    return this.#length === 0 ? undefined : this.#deadlinesMs[this.#first & this.#mask];
  }

  /** The oldest, which stays. */
  get first(): Item | undefined {
    return this.#length === 0 ? undefined : this.#items[this.#first & this.#mask];
  }

  takeAll(): Item[] {
    const all: Item[] = [];
    while (this.#length > 0) all.push(this.shift()!);
    return all;
  }

  /** Room for twice as many as wait: those that left from the middle have kept their places until now. */
  #resize(): void {
    const [items, deadlinesMs, mask] = [this.#items, this.#deadlinesMs, this.#mask];
    let places = PLACES_MIN;
    while (places < this.#length * 2) places *= 2;
    this.#items = new Array(places).fill(undefined);
    this.#deadlinesMs = new Array(places).fill(0);
    this.#mask = places - 1;
    const [first, end] = [this.#first, this.#next];
    this.#first = 0;
    this.#next = 0;
    this.#length = 0;
    for (let ticket = first; ticket < end; ticket++) {
      const item = items[ticket & mask];
      if (item !== undefined) this.push(item, deadlinesMs[ticket & mask]!);
    }
  }
}
