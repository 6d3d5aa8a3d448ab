/**
 * Finds where a chunked body ends (RFC 9112, 7.1), so that nothing behind it is read as a part of it. The body itself is
 * for Node's parser, which sees every byte and has stricter rules; what is no chunk here is none there.
 *
 * size --CR LF--> data --CR LF--> size; a size of 0 --> trailers --empty line--> ended
 */
export class ChunkScanner {
  #state: "size" | "extension" | "size-lf" | "data" | "data-cr" | "data-lf" | "trailers" = "size";
  readonly #announced: (bytes: number) => void;
  #size = 0;
  #digits = 0;
  #significantDigits = 0;
  /** Of "\r\n\r\n"; the line of the last chunk has brought the first two. */
  #matched = 0;

  /** @param announced told of the size of every chunk that is not there as a whole */
  constructor(announced: (bytes: number) => void) {
    this.#announced = announced;
  }

  /** @returns the index behind the body's last byte; -1: it goes on behind `bytes`; "broken": that is no chunk */
  scan(bytes: Buffer, from: number): number | "broken" {
    for (let at = from; at < bytes.length; at++) {
      if (this.#state === "data") {
        const taken = Math.min(this.#size, bytes.length - at);
        this.#size -= taken;
        at += taken - 1;
        if (this.#size === 0) this.#state = "data-cr";
        continue;
      }
      if (this.#state === "trailers") {
        this.#matched = matchHeadEnd(this.#matched, bytes[at]!);
        if (this.#matched === 4) return at + 1;
        continue;
      }
      if (!this.#step(bytes[at]!)) return "broken";
      if (this.#isInData && this.#size > bytes.length - at) this.#announced(this.#size);
    }
    return -1;
  }

  get #isInData(): boolean {
    return this.#state === "data";
  }

  /** Answers whether a chunk may have the byte there. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case "size":
        return this.#sizeByte(byte);
      case "extension":
        if (byte === CR) this.#state = "size-lf";
        return byte !== LF;
      case "size-lf":
        this.#state = this.#size === 0 ? "trailers" : "data";
        this.#matched = 2;
        return byte === LF;
      case "data-cr":
        this.#state = "data-lf";
        return byte === CR;
      default:
        this.#state = "size";
        this.#size = 0;
        this.#digits = 0;
        this.#significantDigits = 0;
        return byte === LF;
    }
  }

  #sizeByte(byte: number): boolean {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#size = this.#size * 16 + digit;
      if (this.#size > 0) this.#significantDigits++;
      return ++this.#digits <= DIGITS_MAX && this.#significantDigits <= SIGNIFICANT_DIGITS_MAX;
    }
    if (byte === CR) this.#state = "size-lf";
    else if (byte === SEMICOLON) this.#state = "extension";
    else return false;
    return this.#digits > 0;
  }
}

/** How much of "\r\n\r\n" is there after one more byte; 4: the empty line behind a head. */
export function matchHeadEnd(matched: number, byte: number): number {
  if (byte === CR) return matched === 2 ? 3 : 1;
  if (byte === LF) return matched === 1 ? 2 : matched === 3 ? 4 : 0;
  return 0;
}

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
/** Zeros in front make no number larger, but no honest client sends many. */
const DIGITS_MAX = 64;
/** The parser counts up to 2^64. */
const SIGNIFICANT_DIGITS_MAX = 16;

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
