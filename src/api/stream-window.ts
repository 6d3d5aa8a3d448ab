/** What a call may be ahead of its grants while more than the stream's window is out. */
const TIGHT_AHEAD_BYTES = 16 * 1024;

/**
 * What the caller of a stream is ready to hold of all its replies together. Once more than that is out, every call still
 * gets a little, so that calls whose readers have stopped keep no other from its end.
 */
export class StreamWindow {
  /** Infinity: the caller opened none. */
  #leftBytes = Number.POSITIVE_INFINITY;

  /** The first time it opens the window, then it gives back what the caller holds no more. */
  add(bytes: number): void {
    this.#leftBytes = this.#leftBytes === Number.POSITIVE_INFINITY ? bytes : this.#leftBytes + bytes;
  }

  /** A caller gives back what it got before it opened the window, too: that is not added. */
  granted(bytes: number): void {
    if (this.#leftBytes !== Number.POSITIVE_INFINITY) this.#leftBytes += bytes;
  }

  sent(bytes: number): void {
    this.#leftBytes -= bytes;
  }

  /** How far any call may be ahead of its grants now. */
  get aheadBytesMax(): number {
    return this.#leftBytes > 0 ? Number.POSITIVE_INFINITY : TIGHT_AHEAD_BYTES;
  }
}
