import { fromBinary } from "@bufbuild/protobuf";
import { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import { ResponseSchema } from "../../gen/roadrunner/http/v1/message_pb.ts";
import { RrError } from "../errors.ts";
import { headerName, startHeaderPass } from "./header-names.ts";
import { bytesOf, textToBytes } from "./percent.ts";

/** The head of a response, safe to send. Header texts are strings of bytes (latin1), as Node's `writeHead` wants them. */
export interface ResponseHead {
  readonly status: number;
  /** Name, value, name, value, ... Without what is told apart below and without what only concerns one connection. */
  readonly headers: string[];
  /** To be sent after the body: name and value. */
  readonly trailers: [string, string][];
  /** Length of the body as the worker announced it. Undefined: it did not, or not in digits. */
  readonly contentLength: number | undefined;
  /** The worker wants the connection closed afterwards. */
  readonly close: boolean;
  /** Names of headers that cannot be sent because name or value have forbidden characters. */
  readonly dropped: readonly string[];
}

/** What a reply without context means. */
export const PLAIN_HEAD: ResponseHead = {
  status: 200,
  headers: [],
  trailers: [],
  contentLength: undefined,
  close: false,
  dropped: [],
};

/**
 * Reads the context of a reply in the encoding its codec names: protobuf, or JSON otherwise.
 *
 * @throws RrError PROTOCOL_VIOLATION: neither; WORKER_ERROR: a status that no response can have
 */
export function decodeResponseHead(context: Uint8Array, codec: Codec): ResponseHead {
  if (context.length > CACHED_BYTES_MAX) return decode(context, codec);
  // Applications answer with few different heads: 0.3 µs instead of 2 for one seen before.
  const bytes = bytesOf(context);
  const cache = codec === Codec.PROTO ? protoHeads : jsonHeads;
  let head = cache.get(bytes);
  if (head === undefined) {
    head = decode(context, codec);
    if (cache.size >= CACHED_HEADS_MAX) cache.clear();
    cache.set(bytes, head);
  }
  return head;
}

const CACHED_BYTES_MAX = 512;
const CACHED_HEADS_MAX = 256;
const jsonHeads = new Map<string, ResponseHead>();
const protoHeads = new Map<string, ResponseHead>();

/** Many times what any client takes. A head is decoded at once, and nobody else is served meanwhile. */
const HEAD_BYTES_MAX = 256 * 1024;
const HEADERS_MAX = 1_000;

function decode(context: Uint8Array, codec: Codec): ResponseHead {
  if (context.length > HEAD_BYTES_MAX) throw tooLarge(`${context.length} bytes`, `${HEAD_BYTES_MAX}`);
  const [status, headers] = codec === Codec.PROTO ? readProto(context) : readJson(context);
  if (!Number.isInteger(status) || status < 100 || status > 599)
    throw new RrError("WORKER_ERROR", `unknown status code from worker: ${status}`, { metadata: { status } });
  const count = headers.reduce((sum, [, values]) => sum + values.length, 0);
  if (count > HEADERS_MAX) throw tooLarge(`${count} headers`, `${HEADERS_MAX}`);
  return sortHeaders(status, headers);
}

function tooLarge(size: string, allowed: string): RrError {
  return new RrError(
    "PROTOCOL_VIOLATION",
    `the head of the worker's response has ${size}, and ${allowed} are allowed: send such data in the body`,
  );
}

type RawHeaders = [name: string, values: string[]][];

function readProto(context: Uint8Array): [number, RawHeaders] {
  try {
    const message = fromBinary(ResponseSchema, context);
    const headers: RawHeaders = Object.entries(message.headers).map(([name, { value }]) => [name, value.map(bytesOf)]);
    return [Number(message.status), headers];
  } catch (thrown) {
    throw unreadable(context, "protobuf", thrown);
  }
}

function readJson(context: Uint8Array): [number, RawHeaders] {
  let head: { status?: unknown; headers?: unknown } | null;
  try {
    head = JSON.parse(Buffer.from(context.buffer, context.byteOffset, context.byteLength).toString("utf8"));
  } catch (thrown) {
    throw unreadable(context, "JSON", thrown);
  }
  if (typeof head !== "object" || head === null || Array.isArray(head)) throw unreadable(context, "JSON object");
  // PHP writes an empty map as [].
  const headers = Object.entries(head.headers ?? {}).map(([name, value]): RawHeaders[number] => [
    textToBytes(name),
    jsonValues(value).map(jsonText),
  ]);
  return [Number(head.status ?? 0), headers];
}

/** A list; PHP makes an object of one whose keys have gaps, and some libraries write a single value as it is. */
function jsonValues(value: unknown): unknown[] {
  return typeof value === "object" && value !== null ? Object.values(value) : [value];
}

/** Values that are no text, and those that were meant as text but are none, are dropped as if they had a line break. */
function jsonText(value: unknown): string {
  if (typeof value === "string") return textToBytes(value);
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "\n";
}

function unreadable(context: Uint8Array, expected: string, cause?: unknown): RrError {
  const start = JSON.stringify(bytesOf(context.subarray(0, 64)));
  return new RrError(
    "PROTOCOL_VIOLATION",
    `the head of the worker's response is no ${expected}: it starts with ${start}`,
    {
      cause,
    },
  );
}

function sortHeaders(status: number, raw: RawHeaders): ResponseHead {
  startHeaderPass();
  const trailerNames = namesOfTrailers(raw);
  const headers: string[] = [];
  const trailers: [string, string][] = [];
  const dropped: string[] = [];
  let contentLength: number | undefined;
  let close = false;
  for (const [spelling, values] of raw) {
    const { canonical, valid } = headerName(spelling);
    for (const value of values) {
      if (!valid || FORBIDDEN_IN_VALUE.test(value)) dropped.push(printable(spelling));
      else if (canonical === "Content-Length") contentLength = DIGITS.test(value) ? Number(value) : contentLength;
      else if (canonical === "Connection") close ||= /(^|,)\s*close\s*(,|$)/i.test(value);
      else if (HOP_BY_HOP.has(canonical)) continue;
      else if (trailerNames.has(canonical)) trailers.push([canonical, value]);
      else headers.push(canonical, value);
    }
  }
  return { status, headers, trailers, contentLength, close, dropped };
}

/** The header `Trailer` of a worker names headers that follow the body; Node writes its own from what is left. */
function namesOfTrailers(raw: RawHeaders): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [spelling, values] of raw) {
    if (headerName(spelling).canonical !== "Trailer") continue;
    for (const value of values)
      for (const part of value.split(",")) {
        const { canonical, valid } = headerName(part.trim());
        if (valid && !NEVER_TRAILER.has(canonical)) names.add(canonical);
      }
  }
  return names;
}

function printable(name: string): string {
  return JSON.stringify(name.slice(0, 64)).slice(1, -1);
}

const DIGITS = /^\d{1,15}$/;
// Everything but tab and printable characters: the list of RFC 9110, and what Node would throw at.
const FORBIDDEN_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
/** These describe the connection between two programs, which the worker has none of. `Connection` is read above. */
const HOP_BY_HOP = new Set(["Transfer-Encoding", "Keep-Alive", "Proxy-Connection", "Te", "Upgrade", "Trailer"]);
const NEVER_TRAILER = new Set([
  ...HOP_BY_HOP,
  "Content-Length",
  "Content-Type",
  "Content-Encoding",
  "Content-Range",
  "Host",
  "Connection",
  "Set-Cookie",
  "Authorization",
  "Cache-Control",
]);
