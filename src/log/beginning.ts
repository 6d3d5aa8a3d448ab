/**
 * The beginning of a text that somebody else wrote, with how much was left out; the text itself if it is not longer. What
 * is cut holds no more memory than it shows: a part of a string as JavaScript cuts it keeps the whole alive.
 */
export function beginningOf(text: string, bytesMax: number): string {
  if (text.length * 3 <= bytesMax) return text;
  const bytes = Buffer.byteLength(text);
  if (bytes <= bytesMax) return text;
  // One character more than fits, so that a pair of surrogates is not cut before it is encoded.
  const encoded = Buffer.from(text.slice(0, bytesMax + 1));
  const end = endOfCharacter(encoded, bytesMax);
  return `${encoded.toString("utf8", 0, end)}… (${bytes - end} more bytes)`;
}

/** At most `end`, and not within a character of UTF-8. */
function endOfCharacter(bytes: Buffer, end: number): number {
  let at = Math.min(end, bytes.length);
  while (at > 0 && at < bytes.length && (bytes[at]! & 0xc0) === 0x80) at--;
  return at;
}
