/** Slots, a power of two. */
const SLOTS_MIN = 64;

/**
 * Values by number, for what comes and goes with every request.
 *
 * Not a `Map`: V8 makes a new table for one every few deletions, and each table refers to the next. Once a table has
 * lived long enough to be moved to the old generation, all that follow it are kept until the next full collection, with
 * everything that was in them: a quarter of all garbage, measured. Here slots are used again.
 */
export class IdMap<Value extends object> {
  #ids: number[] = new Array(SLOTS_MIN).fill(0);
  /** Undefined: the slot is free. */
  #values: (Value | undefined)[] = new Array(SLOTS_MIN).fill(undefined);
  #mask = SLOTS_MIN - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Value | undefined {
    return this.#values[this.#slot(id)];
  }

  has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  /** @param id a whole number, 0 to 2^32 - 1 */
  set(id: number, value: Value): void {
    if (this.#size * 2 > this.#mask) this.#resize((this.#mask + 1) * 2);
    const slot = this.#slot(id);
    if (this.#values[slot] === undefined) this.#size++;
    this.#ids[slot] = id;
    this.#values[slot] = value;
  }

  /** Whether it was there. */
  delete(id: number): boolean {
    const slot = this.#slot(id);
    if (this.#values[slot] === undefined) return false;
    this.#size--;
    this.#close(slot);
    // Room for a crowd that has gone.
    if (this.#size === 0 && this.#mask >= SLOTS_MIN * 16) this.#resize(SLOTS_MIN);
    return true;
  }

  clear(): void {
    this.#size = 0;
    this.#resize(SLOTS_MIN);
  }

  /** Those that are there now, whatever happens to the map meanwhile. */
  entries(): [id: number, value: Value][] {
    return this.#values.flatMap((value, slot) => (value === undefined ? [] : [[this.#ids[slot]!, value]]));
  }

  values(): Value[] {
    return this.#values.filter((value) => value !== undefined);
  }

  /** Where the id is, or would be: ids that are counted up have a slot each. */
  #slot(id: number): number {
    let slot = id & this.#mask;
    while (this.#values[slot] !== undefined && this.#ids[slot] !== id) slot = (slot + 1) & this.#mask;
    return slot;
  }

  /** Frees a slot, and moves up those behind it that it kept from their own. */
  #close(freed: number): void {
    let free = freed;
    for (let slot = (free + 1) & this.#mask; this.#values[slot] !== undefined; slot = (slot + 1) & this.#mask) {
      const home = this.#ids[slot]! & this.#mask;
      const distance = (slot - home) & this.#mask;
      if (distance < ((slot - free) & this.#mask)) continue;
      this.#ids[free] = this.#ids[slot]!;
      this.#values[free] = this.#values[slot];
      free = slot;
    }
    this.#values[free] = undefined;
  }

  #resize(slots: number): void {
    const entries = this.#size === 0 ? [] : this.entries();
    this.#ids = new Array(slots).fill(0);
    this.#values = new Array(slots).fill(undefined);
    this.#mask = slots - 1;
    for (const [id, value] of entries) {
      const slot = this.#slot(id);
      this.#ids[slot] = id;
      this.#values[slot] = value;
    }
  }
}
