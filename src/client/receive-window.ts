/** While much is held the core sends each call only 16 KiB ahead. */
const TIGHT_PORTION_BYTES = 4 * 1024;

/**
 * What a client holds of all replies of one connection together, and what it tells the core of that: StreamWindow of the
 * contract. Every byte that came is given back once, by the grant of its call or here.
 */
export class ReceiveWindow {
  readonly #windowBytes: number;
  readonly #give: (bytes: number) => void;
  readonly #becameTight: () => void;
  #heldBytes = 0;
  /** Of calls that are over, not told yet. */
  #dueBytes = 0;
  #closed = false;

  /**
   * @param windowBytes what may be held before the core sends less of each call; Infinity: any number, and nothing is told
   * @param give tells the core
   * @param becameTight portions are small from now on: what calls have gathered for larger ones is to be granted
   */
  constructor(windowBytes: number, give: (bytes: number) => void, becameTight: () => void) {
    this.#windowBytes = windowBytes;
    this.#give = give;
    this.#becameTight = becameTight;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Much is held: pieces of messages that stay for long are to be copied, or they hold whole messages. */
  get tight(): boolean {
    return this.#heldBytes * 2 > this.#windowBytes;
  }

  /** What calls are to grant at a time while much is held; undefined: as they like. */
  get portionBytes(): number | undefined {
    return this.tight ? TIGHT_PORTION_BYTES : undefined;
  }

  open(): void {
    if (this.#windowBytes !== Number.POSITIVE_INFINITY) this.#give(this.#windowBytes);
  }

  /** The connection is gone: nothing can be told any more. */
  close(): void {
    this.#closed = true;
  }

  received(bytes: number): void {
    const wasTight = this.tight;
    this.#heldBytes += bytes;
    if (!wasTight && this.tight) this.#becameTight();
  }

  /** An open call granted what it holds no more. */
  granted(bytes: number): void {
    this.#heldBytes -= bytes;
  }

  /** What a call that is over holds no more. */
  released(bytes: number): void {
    this.#heldBytes -= bytes;
    if (this.#closed || this.#windowBytes === Number.POSITIVE_INFINITY) return;
    this.#dueBytes += bytes;
    if (this.#dueBytes * 16 < this.#windowBytes) return;
    this.#give(this.#dueBytes);
    this.#dueBytes = 0;
  }
}
