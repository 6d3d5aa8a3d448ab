import type { IncomingMessage } from "node:http";
import { expect } from "chai";
import { preferredEncoding } from "../../../src/http/accept-encoding.ts";
import { byteRange } from "../../../src/http/files/byte-range.ts";
import { conditionalStatus, rangeApplies } from "../../../src/http/files/preconditions.ts";
import { requestedPath } from "../../../src/http/files/requested-path.ts";
import { headProblem } from "../../../src/http/head-rules.ts";
import { headerName, startHeaderPass } from "../../../src/http/header-names.ts";
import { ChunkScanner } from "../../../src/http/http1/chunk-scanner.ts";
import { judgeRequestLine } from "../../../src/http/http1/request-line.ts";
import { isCompressibleType } from "../../../src/http/middleware/compression.ts";
import { clientAddress } from "../../../src/http/middleware/proxy-ip.ts";
import { encodeJsonContext, encodeProtoContext } from "../../../src/http/request-context.ts";
import { parseCookies, readRequestFields } from "../../../src/http/request-fields.ts";
import { requestIdFor } from "../../../src/http/request-id.ts";
import { compilePattern } from "../../../src/http/routes.ts";
import { tlsLocation } from "../../../src/http/tls/redirect.ts";

/** Of a head, as much as may come by default. */
const HEAD_BYTES = 64 * 1024;
/** Many times what reading it once takes; what looks at each character again for each character takes much longer. */
const LIMIT_MS = 25;

const filled = (unit: string, bytes: number, start = "", end = "") =>
  start + unit.repeat(Math.ceil(bytes / unit.length)) + end;

/** Texts that make parsers go back, look ahead or copy, at any length. */
const TEXTS: Readonly<Record<string, (bytes: number) => string>> = {
  commas: (bytes) => filled(",", bytes),
  semicolons: (bytes) => filled(";", bytes),
  "names without values": (bytes) => filled("a;", bytes),
  "lists of one letter": (bytes) => filled("a,", bytes),
  pairs: (bytes) => filled("a=b; ", bytes),
  weights: (bytes) => filled("gzip;q=0.5,", bytes),
  "equals signs": (bytes) => filled("=", bytes),
  spaces: (bytes) => filled(" ", bytes),
  "spaces between letters": (bytes) => filled(" ", bytes, "a", "a"),
  "spaces, then a quote": (bytes) => filled(" ", bytes, "for=", '"'),
  "open quotes": (bytes) => filled('"', bytes, "for="),
  "quoted backslashes": (bytes) => filled("\\", bytes, 'for="'),
  "tags that do not end": (bytes) => filled('W/"', bytes),
  "many for": (bytes) => filled("for=x,", bytes),
  "for with open quotes": (bytes) => filled(',for="', bytes),
  addresses: (bytes) => filled("10.0.0.1, ", bytes),
  digits: (bytes) => filled("1", bytes),
  "digits and dots": (bytes) => filled("1.", bytes),
  "a range of digits": (bytes) => filled("1", bytes, "bytes=", "-x"),
  ranges: (bytes) => filled("0-1,", bytes, "bytes="),
  colons: (bytes) => filled(":", bytes),
  ports: (bytes) => filled(":1", bytes, "h"),
  brackets: (bytes) => filled("[", bytes),
  slashes: (bytes) => filled("/", bytes),
  "dots and slashes": (bytes) => filled("/..", bytes),
  escapes: (bytes) => filled("%41", bytes, "/"),
  "broken escapes": (bytes) => filled("%", bytes, "/"),
  "plus signs": (bytes) => filled("+", bytes),
  "UTF-8": (bytes) => filled("\xc3\xa9", bytes, "/"),
  "question marks": (bytes) => filled("?", bytes, "/"),
  "an absolute uri of users": (bytes) => filled("a@", bytes, "http://"),
  "an absolute uri of a long host": (bytes) => filled("a", bytes, "http://", "@"),
  stars: (bytes) => filled("*a", bytes),
  hyphens: (bytes) => filled("-a", bytes),
  zeros: (bytes) => filled("0", bytes),
  dates: (bytes) => filled("(", bytes, "", "GMT"),
};

function request(name: string, value: string, url = "/"): IncomingMessage {
  const socket = { remoteAddress: "127.0.0.1", localAddress: "127.0.0.1", localPort: 80 };
  const rawHeaders = ["Host", "h", name, value];
  const headers = { host: "h", [name.toLowerCase()]: value };
  return { method: "GET", url, httpVersion: "1.1", headers, rawHeaders, socket } as unknown as IncomingMessage;
}

const VALIDATORS = { etag: '"a"', modifiedMs: 0 };
const NAMES = ["forwarded", "x-forwarded-for"];
const context = (incoming: IncomingMessage) => {
  const fields = readRequestFields(incoming);
  encodeJsonContext(fields);
  encodeProtoContext(fields);
};

/** Everything that reads what clients send in heads. */
const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  "the first line": (text) => {
    const line = Buffer.from(`GET ${text} HTTP/1.1\r\n`, "latin1");
    return judgeRequestLine(line, 0, line.length - 2);
  },
  "the size of a chunk": (text) => new ChunkScanner(() => {}).scan(Buffer.from(`1;${text}\r\n`, "latin1"), 0),
  "a method": (text) => judgeRequestLine(Buffer.from(`${text} / HTTP/1.1\r\n`, "latin1"), 0, text.length + 11),
  "the target": (text) => [
    headProblem(request("a", "b", text), 256),
    requestedPath(text),
    context(request("a", "b", text)),
  ],
  Host: (text) => [headProblem(request("Host", text), 256), tlsLocation(text, "/", 443)],
  Expect: (text) => headProblem(request("Expect", text), 256),
  "the name of a header": (text) => {
    startHeaderPass();
    return [headerName(text), context(request(text, "b"))];
  },
  "the value of a header": (text) => context(request("X-A", text)),
  Cookie: (text) => [parseCookies(text), context(request("Cookie", text))],
  Forwarded: (text) => clientAddress({ forwarded: text }, NAMES, () => true),
  "X-Forwarded-For": (text) => clientAddress({ "x-forwarded-for": text }, NAMES, () => true),
  "Accept-Encoding": (text) => preferredEncoding(text, ["zstd", "br", "gzip"]),
  "Content-Type": (text) => isCompressibleType(text),
  Range: (text) => byteRange(text, 1000),
  "If-Range": (text) => rangeApplies({ "if-range": text }, VALIDATORS),
  "If-Match": (text) => conditionalStatus({ "if-match": text }, VALIDATORS),
  "If-None-Match": (text) => conditionalStatus({ "if-none-match": text }, VALIDATORS),
  "If-Modified-Since": (text) => conditionalStatus({ "if-modified-since": text }, VALIDATORS),
  "X-Request-Id": (text) => requestIdFor(text),
  "the pattern of a route": compilePattern("a*b*a*b*a*b*c"),
};

/** The least of a few times: what else the machine does is not counted. */
function shortestMs(run: () => unknown): number {
  let shortest = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 10 && shortest > LIMIT_MS; round++) {
    const startedMs = performance.now();
    run();
    shortest = Math.min(shortest, performance.now() - startedMs);
  }
  return shortest;
}

describe("What heads cost", () => {
  for (const [reader, read] of Object.entries(READERS))
    it(`grows no faster than they do: ${reader}`, () => {
      for (const [name, make] of Object.entries(TEXTS)) {
        const text = make(HEAD_BYTES);
        expect(
          shortestMs(() => read(text)),
          `ms for ${name}`,
        ).to.be.below(LIMIT_MS);
      }
    });
});
