import { METHODS } from "node:http";

/** What becomes of the first line of a request before Node's parser reads it. */
export type LineVerdict =
  | { readonly kind: "plain" }
  /** `line` is to be read in its place; the method, if `method` is there, is that and not the one in `line`. */
  | { readonly kind: "rewritten"; readonly line: Buffer; readonly method: string | undefined }
  | { readonly kind: "refused"; readonly status: 400 | 505 };

const PLAIN: LineVerdict = { kind: "plain" };
const BAD: LineVerdict = { kind: "refused", status: 400 };

/** The longest method that is let through; registered ones have up to 17 characters. */
export const METHOD_BYTES_MAX = 64;

const SPACE = 0x20;
const DELETE = 0x7f;
const SLASH = 0x2f;
const UPPER_E = 0x45;
const UPPER_G = 0x47;
const UPPER_H = 0x48;
const UPPER_T = 0x54;
const GET_BYTES = 3;
/** "HTTP/1.1" */
const VERSION_BYTES = 8;
/** A method, or the name of a header. */
export const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);
/** A method in place of those that Node's parser does not know: it has no meaning of its own to that. */
const STAND_IN = "POST";
/** The parser takes these for HTTP from some methods, and does not tell. */
const OTHER_PROTOCOLS: ReadonlyMap<string, LineVerdict> = new Map([
  ["RTSP/", { kind: "refused", status: 505 }],
  ["ICE/", { kind: "refused", status: 400 }],
]);

/**
 * Looks at the first line of a request. Node's parser refuses bytes above 0x7f in targets and methods that it does not
 * know; other servers take both. Such lines are put into the form that it takes: bytes escaped as %XX, and a known method
 * in place of the unknown one. What is wrong otherwise is left to the parser.
 *
 * @param bytes the line is from `start` to `end`, without its CR LF
 */
export function judgeRequestLine(bytes: Buffer, start: number, end: number): LineVerdict {
  const isGet = bytes[start] === UPPER_G && bytes[start + 1] === UPPER_E && bytes[start + 2] === UPPER_T;
  let methodEnd = isGet ? start + GET_BYTES : start;
  while (methodEnd < end && bytes[methodEnd] !== SPACE) methodEnd++;
  if (methodEnd === end || methodEnd - start > METHOD_BYTES_MAX) return BAD;
  let isAscii = true;
  for (let at = methodEnd; at < end; at++) {
    const byte = bytes[at]!;
    if (byte < SPACE || byte === DELETE) return BAD;
    if (byte > DELETE) isAscii = false;
  }
  const isHttp = bytes[end - VERSION_BYTES] === UPPER_H;
  // Nearly all of them: no text is made for these.
  if (isGet && methodEnd === start + GET_BYTES && isAscii && isHttp) return PLAIN;
  const method = bytes.toString("latin1", start, methodEnd);
  const isKnown = KNOWN_METHODS.has(method);
  if (!isKnown && !TOKEN.test(method)) return BAD;
  const other = isHttp ? undefined : otherProtocol(bytes, methodEnd, end);
  if (other !== undefined) return other;
  if (isKnown && isAscii) return PLAIN;
  const rest = escapeHighBytes(bytes.toString("latin1", methodEnd, end));
  const line = Buffer.from(`${isKnown ? method : STAND_IN}${rest}\r\n`, "latin1");
  return { kind: "rewritten", line, method: isKnown ? undefined : method };
}

/** What RTSP, which has HTTP's form, and ICE, which has not, are answered. */
function otherProtocol(bytes: Buffer, methodEnd: number, end: number): LineVerdict | undefined {
  const lastSpace = bytes.lastIndexOf(SPACE, end - 1);
  const slash = bytes.indexOf(SLASH, lastSpace);
  if (lastSpace <= methodEnd || slash < 0 || slash >= end) return undefined;
  return OTHER_PROTOCOLS.get(bytes.toString("latin1", lastSpace + 1, slash + 1));
}

const HIGH = /[\x80-\xff]/;

/** Bytes above 0x7f, one per character, as the escapes that a browser would have sent in their place. */
export function escapeHighBytes(target: string): string {
  if (!HIGH.test(target)) return target;
  const bytes = Buffer.from(target, "latin1");
  const escaped = Buffer.allocUnsafe(3 * bytes.length);
  let length = 0;
  for (const byte of bytes) {
    if (byte > DELETE) {
      escaped[length++] = PERCENT;
      escaped[length++] = HEX.charCodeAt(byte >> 4);
      escaped[length++] = HEX.charCodeAt(byte & 15);
    } else escaped[length++] = byte;
  }
  return escaped.toString("latin1", 0, length);
}

const PERCENT = 0x25;
const HEX = "0123456789ABCDEF";
