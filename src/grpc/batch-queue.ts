/** Batches beyond this leave their rest for the next one: large enough that a message's own cost does not count. */
export const BATCH_BYTES = 256 * 1024;
export const BATCH_ENTRIES = 256;

/** Entries that wait for a stream, in the order in which they came, handed out in batches of bounded size. */
export class BatchQueue<Entry> {
  readonly #batchBytesMax: number;
  #entries: Entry[] = [];
  #sizes: number[] = [];
  /** Index of the oldest that waits. */
  #first = 0;
  #bytes = 0;

  /** @param messageBytesMax what one message may weigh */
  constructor(messageBytesMax: number) {
    this.#batchBytesMax = Math.min(BATCH_BYTES, messageBytesMax);
  }

  get length(): number {
    return this.#entries.length - this.#first;
  }

  /** Of all that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Those that wait, the oldest first. */
  get entries(): readonly Entry[] {
    return this.#entries.slice(this.#first);
  }

  /** @param bytes what it weighs in a message, at most */
  push(entry: Entry, bytes: number): void {
    this.#entries.push(entry);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
  }

  /** The oldest entries that make a message together, at least one if any waits. */
  take(): Entry[] {
    const whole = this.#first === 0 && this.#bytes <= this.#batchBytesMax && this.#entries.length <= BATCH_ENTRIES;
    if (whole) {
      const entries = this.#entries;
      this.clear();
      return entries;
    }
    const end = this.#batchEnd();
    const batch = this.#entries.slice(this.#first, end);
    this.#first = end;
    if (end === this.#entries.length) this.clear();
    // Each entry is moved once or twice in all.
    else if (end * 2 > this.#entries.length) this.#compact();
    return batch;
  }

  clear(): void {
    this.#entries = [];
    this.#sizes = [];
    this.#first = 0;
    this.#bytes = 0;
  }

  #batchEnd(): number {
    let end = this.#first;
    let bytes = 0;
    const last = Math.min(this.#entries.length, this.#first + BATCH_ENTRIES);
    while (end < last && (end === this.#first || bytes + this.#sizes[end]! <= this.#batchBytesMax))
      bytes += this.#sizes[end++]!;
    this.#bytes -= bytes;
    return end;
  }

  #compact(): void {
    this.#entries = this.#entries.slice(this.#first);
    this.#sizes = this.#sizes.slice(this.#first);
    this.#first = 0;
  }
}
