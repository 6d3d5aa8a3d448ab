const HEX = hexTable();

/**
 * Undoes the escapes of paths and cookies: "%XX" is a byte.
 *
 * @param text bytes, one per character (latin1)
 * @returns bytes, one per character; undefined when a "%" is not followed by two hexadecimal digits
 */
export function unescapePercent(text: string): string | undefined {
  return unescaped(text, false);
}

/** Undoes the escapes of a form as PHP does: "+" is a space, and a "%" that begins no escape is itself. */
export function unescapeForm(text: string): string {
  return unescaped(text.includes("+") ? text.replaceAll("+", " ") : text, true)!;
}

function unescaped(text: string, lenient: boolean): string | undefined {
  if (!text.includes("%")) return text;
  const bytes = Buffer.allocUnsafe(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    let code = text.charCodeAt(at);
    if (code === PERCENT) {
      const high = HEX[text.charCodeAt(at + 1)] ?? -1;
      const low = HEX[text.charCodeAt(at + 2)] ?? -1;
      if (high >= 0 && low >= 0) {
        code = high * 16 + low;
        at += 2;
      } else if (!lenient) return undefined;
    }
    bytes[length++] = code;
  }
  return bytes.toString("latin1", 0, length);
}

/** Bytes, one per character, read as UTF-8. What is no UTF-8 becomes U+FFFD. */
export function bytesToText(bytes: string): string {
  return NON_ASCII.test(bytes) ? Buffer.from(bytes, "latin1").toString("utf8") : bytes;
}

/** UTF-8 of a text, one byte per character. */
export function textToBytes(text: string): string {
  return NON_ASCII.test(text) ? Buffer.from(text, "utf8").toString("latin1") : text;
}

/** Bytes as a string, one per character. */
export function bytesOf(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("latin1");
}

const PERCENT = 0x25;
const NON_ASCII = /[^\0-\x7f]/;

function hexTable(): Int8Array {
  const table = new Int8Array(256).fill(-1);
  for (const [index, digit] of [..."0123456789abcdef"].entries()) {
    table[digit.charCodeAt(0)] = index;
    table[digit.toUpperCase().charCodeAt(0)] = index;
  }
  return table;
}
