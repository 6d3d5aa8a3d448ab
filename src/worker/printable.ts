const TEXT_KEPT_BYTES = 2048;

/** The beginning of bytes for people: text, with what cannot be shown replaced. */
export function printable(bytes: Buffer): string {
  return bytes
    .toString("utf8", 0, TEXT_KEPT_BYTES)
    .replace(/[^\x20-\x7e\n\t\u00a0-\uffff]/g, "·")
    .trim();
}
