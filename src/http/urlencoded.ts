import { RrError } from "../errors.ts";
import { NAME_BYTES_MAX, nameTooLong } from "./form-names.ts";
import { bytesOf, unescapeForm } from "./percent.ts";

/** Every byte of a name may be escaped. */
const ESCAPED_NAME_MAX = 3 * NAME_BYTES_MAX;

/**
 * Reads a urlencoded form as it comes in, as PHP reads it: "&" separates, the first "=" ends a name, a "%" that begins no
 * escape is itself. Takes time in proportion to the bytes, however they are cut.
 */
export class UrlencodedReader {
  readonly #fieldsMax: number;
  readonly #field: (name: string, value: string) => void;
  #fields = 0;
  /** Of the pair that is under way; the name as it came, the value without escapes. */
  #name = "";
  #value: string | undefined;
  /** The start of an escape that the next piece goes on with. */
  #held = "";

  /** @param field is told of each pair: bytes, one per character, without escapes */
  constructor(fieldsMax: number, field: (name: string, value: string) => void) {
    this.#fieldsMax = fieldsMax;
    this.#field = field;
  }

  /** @throws RrError PAYLOAD_TOO_LARGE: too many fields; INVALID_REQUEST: a name too long; and what `field` throws */
  push(data: Uint8Array): void {
    const text = this.#held + bytesOf(data);
    this.#held = "";
    // Looked for once for all pairs that have none.
    let equals = -1;
    for (let start = 0; start < text.length; ) {
      const ampersand = text.indexOf("&", start);
      const end = ampersand < 0 ? text.length : ampersand;
      if (equals < start) equals = positionOf("=", text, start);
      this.#take(text, start, end, Math.min(equals, end), ampersand < 0);
      if (ampersand >= 0) this.#endPair();
      start = end + 1;
    }
  }

  end(): void {
    const held = this.#held;
    this.#held = "";
    if (held !== "") this.#append(held);
    this.#endPair();
  }

  #take(text: string, start: number, end: number, equals: number, mayGoOn: boolean): void {
    let from = start;
    if (this.#value === undefined) {
      this.#name += text.slice(start, equals);
      if (this.#name.length > ESCAPED_NAME_MAX) throw nameTooLong(this.#name);
      if (equals === end) return;
      this.#value = "";
      from = equals + 1;
    }
    let to = end;
    if (mayGoOn) {
      // "%" or "%4" at the end of a piece.
      const percent = text.indexOf("%", Math.max(from, end - 2));
      if (percent >= 0 && percent < end) to = percent;
    }
    this.#append(text.slice(from, to));
    this.#held = text.slice(to, end);
  }

  #append(text: string): void {
    this.#value += unescapeForm(text);
  }

  #endPair(): void {
    const name = this.#name;
    const value = this.#value;
    this.#name = "";
    this.#value = undefined;
    if (name === "" && value === undefined) return;
    if (++this.#fields > this.#fieldsMax)
      throw new RrError("PAYLOAD_TOO_LARGE", `the form has more than ${this.#fieldsMax} fields (http.max_form_fields)`);
    this.#field(unescapeForm(name), value ?? "");
  }
}

/** The end of the text if there is none. */
function positionOf(character: string, text: string, start: number): number {
  const at = text.indexOf(character, start);
  return at < 0 ? text.length : at;
}

/** A value or name in the form that `UrlencodedReader` reads. @param text bytes, one per character */
export function escapeForm(text: string): string {
  return SPECIAL.test(text) ? text.replace(SPECIALS, escaped) : text;
}

const SPECIAL = /[%&+=]/;
const SPECIALS = /[%&+=]/g;

function escaped(character: string): string {
  return `%${character.charCodeAt(0).toString(16)}`;
}
