import {
  block,
  data,
  Flag,
  frame,
  get,
  type Http2Wire,
  headers,
  hpackText,
  PREFACE,
  post,
  requestHeaders,
  rstStream,
  Setting,
  settings,
  Type,
  uint32,
  windowUpdate,
} from "../support/http2-wire.ts";

export interface Attack {
  readonly name: string;
  /** What a client does. It stops when the server has had enough. */
  readonly run: (wire: Http2Wire) => Promise<unknown>;
  /** How it ends: see `endOf` in the test. */
  readonly ends: RegExp;
  /** Instead of the preface and empty settings. */
  readonly first?: Buffer;
}

const EMPTY = Buffer.alloc(0);
/** Numbers of streams that a client may use, in their order. */
const streams = (count: number, from = 1) => Array.from({ length: count }, (_, at) => from + 2 * at);

/** Sends until the server ends the connection or all is sent, in portions that it has the time to answer. */
async function flood(wire: Http2Wire, portions: number, portion: (at: number) => Buffer): Promise<void> {
  for (let at = 0; at < portions && !wire.closed; at++) {
    wire.write(portion(at));
    await new Promise((resolve) =>
      wire.socket.writableNeedDrain ? wire.socket.once("drain", resolve).once("close", resolve) : setImmediate(resolve),
    );
  }
}

/** The same of a client that reads nothing of what it is answered. */
async function deafFlood(wire: Http2Wire, portions: number, portion: Buffer): Promise<void> {
  wire.socket.pause();
  const late = setTimeout(() => wire.socket.resume(), 3_000);
  await flood(wire, portions, () => portion);
  clearTimeout(late);
  wire.socket.resume();
}

const times = (count: number, one: Buffer) => Buffer.concat(Array.from({ length: count }, () => one));
const large = (stream: number) => headers(stream, requestHeaders("GET", "/large?64"));

/** By the names that they became known by. */
export const ATTACKS: readonly Attack[] = [
  {
    name: "rapid reset (CVE-2023-44487): requests that are taken back at once",
    run: (wire) =>
      flood(wire, 100, (at) => Buffer.concat(streams(100, 1 + 200 * at).flatMap((id) => [get(id), rstStream(id)]))),
    ends: /^(GOAWAY \w+, )?closed$/,
  },
  {
    name: "rapid reset, one after the other: the client is told that it is too much",
    run: async (wire) => {
      for (let at = 0; at < 3_000 && !wire.closed && !wire.goaway; at += 10) {
        wire.write(...streams(10, 1 + 2 * at).flatMap((id) => [get(id), rstStream(id)]));
        await wire.ping();
      }
    },
    ends: /^GOAWAY ENHANCE_YOUR_CALM, closed$/,
  },
  {
    name: "made-you-reset (CVE-2025-8671): requests that the server has to take back",
    run: (wire) =>
      flood(wire, 100, (at) =>
        Buffer.concat(streams(100, 1 + 200 * at).flatMap((id) => [post(id, ["content-length", "1"]), data(id, "12")])),
      ),
    ends: /^(GOAWAY \w+, )?closed$/,
  },
  {
    name: "CONTINUATION flood (CVE-2024-27316): a head without an end",
    run: (wire) => {
      const piece = frame(Type.continuation, 0, 1, block(["x-a", "b".repeat(1_000)]));
      wire.write(headers(1, requestHeaders(), Flag.endStream));
      return flood(wire, 1_000, () => times(20, piece));
    },
    ends: /^(GOAWAY \w+, )?closed$/,
  },
  {
    name: "CONTINUATION flood of empty frames",
    run: (wire) => {
      wire.write(headers(1, requestHeaders(), Flag.endStream));
      return flood(wire, 1_000, () => times(100, frame(Type.continuation, 0, 1)));
    },
    ends: /^(GOAWAY \w+, )?closed$/,
  },
  {
    name: "PING flood (CVE-2019-9512) by a client that reads no answers",
    run: (wire) => deafFlood(wire, 2_000, times(1_000, frame(Type.ping, 0, 0, Buffer.alloc(8)))),
    ends: /^(GOAWAY \w+, )?closed$/,
  },
  {
    name: "SETTINGS flood (CVE-2019-9515) by a client that reads no answers",
    run: (wire) => deafFlood(wire, 2_000, times(1_000, settings())),
    ends: /^(GOAWAY \w+, )?closed$/,
  },
  {
    name: "SETTINGS of 2,700 values",
    run: async (wire) =>
      wire.write(settings(...Array.from({ length: 2_700 }, () => [Setting.maxFrameSize, 16_384]).flat())),
    ends: /^GOAWAY \w+, closed$/,
  },
  {
    name: "PRIORITY flood (CVE-2019-9513)",
    run: (wire) =>
      flood(wire, 100, (at) =>
        Buffer.concat(
          streams(1_000).map((id) => frame(Type.priority, 0, id, Buffer.concat([uint32(id + 2), Buffer.of(at)]))),
        ),
      ),
    // Ignored, or from Node 22 on too much.
    ends: /^(goes on|(GOAWAY \w+, )?closed)$/,
  },
  {
    name: "DATA frames with nothing in them (CVE-2019-9518)",
    run: (wire) => {
      wire.write(post(1));
      return flood(wire, 500, () => times(100, data(1, EMPTY, 0)));
    },
    ends: /^(GOAWAY \w+, )?closed$/,
  },
  {
    name: "HPACK bomb (CVE-2016-6581): 64 MB of headers in 20 KB",
    run: async (wire) => {
      const remembered = Buffer.concat([Buffer.of(0x40), hpackText("x-bomb"), hpackText("b".repeat(4_000))]);
      const head = Buffer.concat([block(...requestHeaders()), remembered, Buffer.alloc(12_000, 0x80 | 62)]);
      wire.write(frame(Type.headers, 5, 1, head));
      await wire.until(() => wire.resetOf(1) !== undefined);
    },
    ends: /^stream ENHANCE_YOUR_CALM, goes on$/,
  },
  {
    name: "headers of nothing (CVE-2019-9516)",
    run: async (wire) => {
      wire.write(frame(Type.headers, 5, 1, Buffer.concat([block(...requestHeaders()), Buffer.alloc(15_000)])));
      await wire.until(() => wire.ended(1) || wire.resetOf(1) !== undefined);
    },
    ends: /^(200|stream \w+), goes on$/,
  },
  {
    name: "a head beyond max_header_size",
    run: async (wire) => {
      await wire.ping();
      const piece = block(["x-large", "x".repeat(15_000)]);
      const parts = [0, 1, 2, 3, 4].map((at) => frame(Type.continuation, at === 4 ? Flag.endHeaders : 0, 1, piece));
      wire.write(headers(1, requestHeaders(), Flag.endStream), ...parts);
      await wire.until(() => wire.resetOf(1) !== undefined);
    },
    ends: /^stream ENHANCE_YOUR_CALM, goes on$/,
  },
  {
    name: "the same before the settings, which limit it, were acknowledged",
    run: async (wire) => {
      const piece = block(["x-large", "x".repeat(15_000)]);
      const parts = [0, 1, 2, 3, 4].map((at) => frame(Type.continuation, at === 4 ? Flag.endHeaders : 0, 1, piece));
      wire.write(headers(1, requestHeaders(), Flag.endStream), ...parts);
      await wire.until(() => wire.ended(1));
    },
    ends: /^431, goes on$/,
  },
  {
    name: "300 headers",
    run: async (wire) => {
      wire.write(get(1, ...Array.from({ length: 300 }, (_, at): [string, string] => [`x-${at}`, "v"])));
      await wire.until(() => wire.ended(1));
    },
    ends: /^431, goes on$/,
  },
  {
    name: "a window of nothing (CVE-2019-9517): responses that nobody takes",
    first: Buffer.concat([PREFACE, settings(Setting.initialWindowSize, 0), windowUpdate(0, 1 << 30)]),
    run: async (wire) => {
      wire.write(...streams(50).map(large));
      await wire.until(() => streams(50).every((id) => wire.resetOf(id) !== undefined));
    },
    ends: /^200, stream \w+, goes on$/,
  },
  {
    name: "a window of one byte (CVE-2019-9511), and never more",
    first: Buffer.concat([PREFACE, settings(Setting.initialWindowSize, 1)]),
    run: async (wire) => {
      wire.write(large(1));
      await wire.until(() => wire.resetOf(1) !== undefined);
    },
    ends: /^200, stream \w+, goes on$/,
  },
  {
    name: "a window that opens byte by byte",
    first: Buffer.concat([PREFACE, settings(Setting.initialWindowSize, 1)]),
    run: async (wire) => {
      wire.write(headers(1, requestHeaders("GET", "/large?1")));
      for (let bytes = 1; bytes <= 1_024; bytes++) {
        await wire.until(() => wire.bytesOf(1) === bytes);
        wire.write(windowUpdate(1, 1));
      }
      await wire.until(() => wire.ended(1));
    },
    ends: /^200, goes on$/,
  },
  {
    name: "nothing after the preface",
    first: PREFACE,
    run: (wire) => wire.until(() => wire.closed),
    ends: /^GOAWAY NO_ERROR, closed$/,
  },
  {
    name: "half a preface",
    first: PREFACE.subarray(0, 10),
    run: (wire) => wire.until(() => wire.closed),
    ends: /^closed$/,
  },
  {
    name: "a head that stops",
    run: async (wire) => {
      await wire.ping();
      wire.write(headers(1, requestHeaders(), Flag.endStream));
      return wire.until(() => wire.closed);
    },
    ends: /^GOAWAY NO_ERROR, closed$/,
  },
  {
    name: "a body that stops",
    run: (wire) => {
      wire.write(post(1), data(1, "x", 0));
      return wire.until(() => wire.ended(1) || wire.resetOf(1) !== undefined);
    },
    ends: /^408(, stream NO_ERROR)?, goes on$/,
  },
  {
    name: "a body that comes drop by drop",
    run: async (wire) => {
      wire.write(post(1));
      const drops = setInterval(() => wire.write(data(1, "x", 0)), 100);
      await wire.until(() => wire.ended(1) || wire.resetOf(1) !== undefined);
      clearInterval(drops);
    },
    ends: /^stream CANCEL, goes on$/,
  },
  {
    name: "bodies that the server has no room for",
    run: async (wire) => {
      for (const id of streams(60)) wire.write(post(id));
      await flood(wire, 60, (at) => times(4, data(1 + 2 * at, Buffer.alloc(16_000), 0)));
      await wire.until(() => streams(60).every((id) => wire.ended(id) || wire.resetOf(id) !== undefined));
    },
    ends: /goes on$|closed$/,
  },
];
