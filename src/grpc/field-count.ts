import type { DescField, DescMessage } from "@bufbuild/protobuf";

const WIRE_VARINT = 0;
const WIRE_64_BITS = 1;
const WIRE_BYTES = 2;
const WIRE_32_BITS = 5;
/** Messages inside of messages; deeper ones are not looked into. */
const DEPTH_MAX = 100;

/** What the numbers of a message's fields lead to. */
type Inside = ReadonlyMap<number, DescMessage | "packed" | Inside>;

const known = new WeakMap<DescMessage, Inside>();

/**
 * Whether a message has more fields than that, those of messages inside of it and unknown ones included. Decoding makes
 * an object or more of each, so that a message of a few megabytes may stand for gigabytes; counting costs little, and
 * ends at the limit. Bytes that are no message are the decoder's concern.
 */
export function hasMoreFields(descriptor: DescMessage, bytes: Uint8Array, fieldsMax: number): boolean {
  // A field has two bytes at least.
  if (bytes.length <= 2 * fieldsMax) return false;
  const counter = new FieldCounter(bytes, fieldsMax);
  counter.count(insideOf(descriptor), bytes.length, 0);
  return counter.left < 0;
}

class FieldCounter {
  left: number;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array, fieldsMax: number) {
    this.#bytes = bytes;
    this.left = fieldsMax;
  }

  count(inside: Inside, end: number, depth: number): void {
    while (this.#at < end && this.left >= 0) {
      this.left--;
      const tag = this.#varint();
      const wire = tag & 7;
      if (wire === WIRE_VARINT) this.#varint();
      else if (wire === WIRE_64_BITS) this.#at += 8;
      else if (wire === WIRE_32_BITS) this.#at += 4;
      else if (wire === WIRE_BYTES) this.#countBytes(inside.get(tag >>> 3), depth);
    }
  }

  #countBytes(inside: DescMessage | "packed" | Inside | undefined, depth: number): void {
    const length = this.#varint();
    const end = this.#at + length;
    if (inside === "packed") this.left -= length;
    else if (inside !== undefined && depth < DEPTH_MAX)
      this.count("fields" in inside ? insideOf(inside) : inside, Math.min(end, this.#bytes.length), depth + 1);
    this.#at = end;
  }

  /** The lowest 32 bits: no message is longer. */
  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++] ?? 0;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value >>> 0;
  }
}

function insideOf(descriptor: DescMessage): Inside {
  const found = known.get(descriptor);
  if (found) return found;
  const inside = new Map<number, DescMessage | "packed" | Inside>();
  for (const field of descriptor.fields) {
    const leads = insideOfField(field);
    if (leads !== undefined) inside.set(field.number, leads);
  }
  known.set(descriptor, inside);
  return inside;
}

function insideOfField(field: DescField): DescMessage | "packed" | Inside | undefined {
  if (field.fieldKind === "message") return field.message;
  // An entry of a map is a message of key and value.
  if (field.fieldKind === "map") return new Map(field.message ? [[2, field.message]] : []);
  if (field.fieldKind !== "list") return undefined;
  if (field.listKind === "message") return field.message;
  return field.packed ? "packed" : undefined;
}
