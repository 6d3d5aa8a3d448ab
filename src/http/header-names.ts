/** A header's name with what its encodings need, made once per name. */
export interface HeaderName {
  /** "X-Request-Id": as Go writes names, whatever the client wrote. */
  readonly canonical: string;
  /** `"X-Request-Id":[` */
  readonly jsonKey: string;
  /** The key field of a protobuf map entry. */
  readonly protoKey: string;
  /** Allowed characters only. */
  readonly valid: boolean;
  readonly role: "plain" | "host" | "cookie" | "dropped";
  /** The pass (see `startHeaderPass`) that saw the name last, and where it put it: finds repeated headers in one step. */
  seenIn: number;
  slot: number;
}

/** Many times what real traffic has; an attacker's made-up names must not fill the memory. */
const NAMES_MAX = 2048;

/** Longer names are forgotten with the list that they are in: real ones are shorter, and memory is bounded in bytes. */
const KEPT_NAME_CHARS = 64;

const bySpelling = new Map<string, HeaderName>();
const byCanonical = new Map<string, HeaderName>();
/** Long names of the pass. */
const unkept = new Map<string, HeaderName>();
let pass = 0;

/**
 * Starts reading a list of headers: a number that differs from that of every other pass. Names are forgotten here and
 * not in the middle of a pass, so that within one pass equal names are the same object.
 */
export function startHeaderPass(): number {
  if (bySpelling.size > NAMES_MAX) {
    bySpelling.clear();
    byCanonical.clear();
  }
  if (unkept.size > 0) unkept.clear();
  return ++pass;
}

export function headerName(spelling: string): HeaderName {
  return bySpelling.get(spelling) ?? addSpelling(spelling);
}

function addSpelling(spelling: string): HeaderName {
  const isKept = spelling.length <= KEPT_NAME_CHARS;
  const valid = TOKEN.test(spelling);
  const canonical = valid ? canonicalName(spelling) : spelling;
  const names = isKept ? byCanonical : unkept;
  let name = names.get(canonical);
  if (name === undefined) {
    name = {
      canonical,
      jsonKey: `${JSON.stringify(canonical)}:[`,
      protoKey: lengthDelimited("\x0a", canonical),
      valid,
      role: ROLES[canonical] ?? (valid ? "plain" : "dropped"),
      seenIn: 0,
      slot: 0,
    };
    names.set(canonical, name);
  }
  if (isKept) bySpelling.set(spelling, name);
  return name;
}

/** "x-REQUEST-id" -> "X-Request-Id". */
function canonicalName(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Go's server takes these out of the headers, and the workers' libraries count on it. */
const ROLES: Record<string, HeaderName["role"] | undefined> = {
  // biome-ignore lint/suspicious/noExplicitAny: a null prototype, so that no name finds Object's members
  __proto__: null as any,
  Host: "host",
  // What HTTP/2 has instead.
  ":authority": "host",
  Cookie: "cookie",
  "Transfer-Encoding": "dropped",
  Trailer: "dropped",
};

/** A protobuf field of wire type 2 as a string of bytes. `tag` is its first byte. */
export function lengthDelimited(tag: string, bytes: string): string {
  return tag + varint(bytes.length) + bytes;
}

function varint(value: number): string {
  if (value < 0x80) return String.fromCharCode(value);
  if (value < 0x4000) return String.fromCharCode((value & 0x7f) | 0x80, value >> 7);
  let text = "";
  let rest = value;
  while (rest >= 0x80) {
    text += String.fromCharCode((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return text + String.fromCharCode(rest);
}
