/** What the ring needs of its events. */
export interface Numbered {
  /** Grows with each event. */
  readonly revision: number;
  readonly type: string;
}

/**
 * The newest events, in shares: when it is full, the oldest event of the type that has most of them goes. So whatever
 * happens all the time pushes out its own kind, and what happened once stays.
 */
export class EventRing<Event extends Numbered> {
  readonly #capacity: number;
  /** By type, oldest first. */
  readonly #byType = new Map<string, EventQueue<Event>>();
  #count = 0;
  #newestLost = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get count(): number {
    return this.#count;
  }

  /** The highest revision of those that are no longer kept; 0: all are. */
  get newestLost(): number {
    return this.#newestLost;
  }

  push(event: Event): void {
    if (this.#count === this.#capacity) this.#evict();
    let queue = this.#byType.get(event.type);
    if (!queue) {
      queue = new EventQueue();
      this.#byType.set(event.type, queue);
    }
    queue.push(event);
    this.#count++;
  }

  /** Oldest first. */
  all(): Event[] {
    const events = [...this.#byType.values()].flatMap((queue) => queue.all());
    return events.sort((one, other) => one.revision - other.revision);
  }

  #evict(): void {
    let most: EventQueue<Event> | undefined;
    for (const queue of this.#byType.values())
      if (!most || queue.length > most.length || (queue.length === most.length && queue.oldest < most.oldest))
        most = queue;
    const lost = most?.shift();
    if (!lost) return;
    this.#count--;
    this.#newestLost = Math.max(this.#newestLost, lost.revision);
  }
}

/** A queue whose ends cost the same, however long it is. */
class EventQueue<Event extends Numbered> {
  #events: (Event | undefined)[] = [];
  #first = 0;

  get length(): number {
    return this.#events.length - this.#first;
  }

  /** Revision of the oldest; only for one that is not empty. */
  get oldest(): number {
    return this.#events[this.#first]?.revision ?? Number.POSITIVE_INFINITY;
  }

  push(event: Event): void {
    this.#events.push(event);
  }

  shift(): Event | undefined {
    const event = this.#events[this.#first];
    if (event === undefined) return undefined;
    this.#events[this.#first++] = undefined;
    if (this.#first > 1_000 && this.#first * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#first);
      this.#first = 0;
    }
    return event;
  }

  all(): Event[] {
    return this.#events.slice(this.#first) as Event[];
  }
}
