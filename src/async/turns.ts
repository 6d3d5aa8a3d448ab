/** Who waits for a turn. */
export interface Waiting {
  /** Its turn: it may use the room, and join again if it needs more. */
  turn(): void;
}

/**
 * Waits in a line for room that all share: the first who came has the first turn, and turns are given only as long as
 * there is room. Whoever leaves before its turn is forgotten.
 */
export class Turns {
  readonly #line = new Set<Waiting>();

  get length(): number {
    return this.#line.size;
  }

  /** Once, however often it asks. */
  join(waiting: Waiting): void {
    this.#line.add(waiting);
  }

  leave(waiting: Waiting): void {
    this.#line.delete(waiting);
  }

  /** One turn for each who waits now, as long as there is room. */
  give(hasRoom: () => boolean): void {
    let left = this.#line.size;
    for (const waiting of this.#line) {
      if (left-- === 0 || !hasRoom()) return;
      this.#line.delete(waiting);
      waiting.turn();
    }
  }
}
