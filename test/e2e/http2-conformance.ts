import {
  block,
  data,
  Flag,
  frame,
  get,
  headers,
  hpackNumber,
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

/**
 * What has to come of bytes:
 * - "connection CODE": GOAWAY with that error, and the end of the connection; "closed": its end, with GOAWAY or without
 * - "stream CODE": the stream is reset with that error, and the connection goes on
 * - a number: the stream is answered with that status, and the connection goes on
 * - "goes on": nothing, and the connection goes on
 */
export type Outcome = number | "goes on" | "closed" | `stream ${string}` | `connection ${string}`;

export interface ConformanceCase {
  readonly name: string;
  /** Sent in their order: what follows "answered" when the stream has its answer, "settled" when settings count. */
  readonly sends: readonly (Buffer | "answered" | "settled")[];
  readonly outcome: Outcome;
  /** The stream that the outcome is about. */
  readonly stream: number;
  /** Instead of the preface and empty settings. */
  readonly first?: Buffer;
  /** What the RFC asks for, where the outcome is another one. */
  readonly asked?: string;
  /** With the nghttp2 of Node 22 and later. */
  readonly newer?: Outcome;
}

type Options = Partial<Pick<ConformanceCase, "stream" | "first" | "asked" | "newer">>;

const one = (
  name: string,
  sends: Buffer | (Buffer | "answered" | "settled")[],
  outcome: Outcome,
  options: Options = {},
) => ({
  name,
  sends: Array.isArray(sends) ? sends : [sends],
  outcome,
  stream: 1,
  ...options,
});

const NONE = Buffer.alloc(0);
const OPEN = Flag.endHeaders;
const request = requestHeaders();
const raw = (stream: number, ...parts: Buffer[]) =>
  frame(Type.headers, Flag.endStream | Flag.endHeaders, stream, Buffer.concat([block(...request), ...parts]));
/** With a pad length, and what there is behind it. */
const padded = (type: number, stream: number, pad: number, rest: Buffer, flags = 0) =>
  frame(type, flags | Flag.padded, stream, Buffer.concat([Buffer.of(pad), rest]));
const priority = (stream: number, on: number) =>
  frame(Type.priority, 0, stream, Buffer.concat([uint32(on), NONE, Buffer.of(9)]));
const without = (name: string) => request.filter(([other]) => other !== name);
const more = (...list: [string, string][]) => get(1, ...list);
const half = headers(1, request, Flag.endStream);
const rest = (stream = 1) => frame(Type.continuation, Flag.endHeaders, stream, block(["x-rest", "1"]));
const PROTOCOL = "connection PROTOCOL_ERROR";
const MALFORMED = "stream PROTOCOL_ERROR";
/** PHP does not get to see such a header. */
const DROPPED = { asked: MALFORMED };

/** By sections of RFC 9113 and RFC 7541, in the order of h2spec. */
export const CONFORMANCE: Readonly<Record<string, readonly ConformanceCase[]>> = {
  "3.4 the preface": [
    one("another preface", NONE, "closed", { first: Buffer.from("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n") }),
    one("a request before the settings", NONE, PROTOCOL, { first: Buffer.concat([PREFACE, get(1)]) }),
    one("settings and a request with it", NONE, 200, { first: Buffer.concat([PREFACE, settings(), get(1)]) }),
  ],
  "4.1 the form of frames": [
    one("a type that nobody knows", frame(0x16, 0, 0, Buffer.alloc(8)), "goes on"),
    one("flags that nobody knows", frame(Type.ping, 0x16, 0, Buffer.alloc(8)), "goes on"),
    one("the reserved bit", frame(Type.ping, 0, 0x8000_0000, Buffer.alloc(8)), "goes on"),
  ],
  "4.2 the size of frames": [
    one("DATA of 16,384 bytes", [post(1), data(1, Buffer.alloc(16_384))], 200),
    one("DATA of more", [post(1), data(1, Buffer.alloc(16_385))], "connection FRAME_SIZE_ERROR"),
    one("HEADERS of more", frame(Type.headers, 5, 1, Buffer.alloc(16_385)), "connection FRAME_SIZE_ERROR"),
    one("a frame of more on the connection", frame(0x16, 0, 0, Buffer.alloc(16_385)), "connection FRAME_SIZE_ERROR"),
  ],
  "4.3 header blocks": [
    one(
      "what is no HPACK",
      frame(Type.headers, 5, 1, Buffer.from("ffffffffffff", "hex")),
      "connection COMPRESSION_ERROR",
    ),
    one("PRIORITY in between", [half, priority(1, 0), rest()], PROTOCOL),
    one("HEADERS of another stream in between", [half, get(3)], PROTOCOL),
    one("an unknown frame in between", [half, frame(0x16, 0, 0, Buffer.alloc(8)), rest()], PROTOCOL),
  ],
  "5.1 states of streams": [
    one("DATA for an idle one", data(1, "x"), PROTOCOL),
    one("RST_STREAM for an idle one", rstStream(1), PROTOCOL),
    one("WINDOW_UPDATE for an idle one", windowUpdate(1, 100), PROTOCOL),
    one("CONTINUATION for an idle one", rest(), PROTOCOL),
    one("DATA after the request's end", [get(1), data(1, "x")], "connection STREAM_CLOSED", {
      asked: "stream STREAM_CLOSED",
    }),
    one("HEADERS after the request's end", [get(1), get(1)], "connection STREAM_CLOSED", {
      asked: "stream STREAM_CLOSED",
    }),
    one("CONTINUATION after the request's end", [get(1), rest()], PROTOCOL),
    one("DATA after RST_STREAM", [post(1), rstStream(1), data(1, "x")], "goes on"),
    one("HEADERS after RST_STREAM", [post(1), rstStream(1), get(1)], "goes on", { asked: "connection STREAM_CLOSED" }),
    one("CONTINUATION after RST_STREAM", [post(1), rstStream(1), rest()], PROTOCOL),
    one("DATA after the response", [get(1), "answered", data(1, "x")], "goes on", {
      asked: "connection STREAM_CLOSED",
    }),
    one("HEADERS after the response", [get(1), "answered", get(1)], "goes on", { asked: "connection STREAM_CLOSED" }),
    one("CONTINUATION after the response", [get(1), "answered", rest()], PROTOCOL),
    one("PRIORITY after the response", [get(1), "answered", priority(1, 0)], "goes on"),
    one("RST_STREAM after the response", [get(1), "answered", rstStream(1)], "goes on"),
    one("WINDOW_UPDATE after the response", [get(1), "answered", windowUpdate(1, 100)], "goes on"),
    one("PRIORITY for an idle one", priority(1, 0), "goes on"),
  ],
  "5.1.1 numbers of streams": [
    one("an even one", get(2), PROTOCOL, { stream: 2 }),
    one("one below the last", [get(5), get(3)], "goes on", { stream: 3, asked: PROTOCOL }),
    one("ones that leave others out", [get(5), get(99)], 200, { stream: 99 }),
  ],
  "5.1.2 streams at a time": [
    one("one more than allowed", [rstStream(1), rstStream(3)], "stream REFUSED_STREAM", {
      first: Buffer.concat([PREFACE, settings(), post(1), post(3), post(5)]),
      stream: 5,
    }),
    one(
      "one more than allowed after the settings were acknowledged",
      ["settled", post(1), post(3), post(5)],
      PROTOCOL,
      {
        stream: 5,
        asked: "stream REFUSED_STREAM",
      },
    ),
  ],
  "5.3 priorities": [
    one(
      "a stream in HEADERS that depends on itself",
      [frame(Type.headers, 5 | Flag.priority, 1, Buffer.concat([uint32(1), Buffer.of(9), block(...request)]))],
      PROTOCOL,
      { asked: "stream PROTOCOL_ERROR, by RFC 7540" },
    ),
    one("a stream in PRIORITY that depends on itself", priority(1, 1), PROTOCOL, {
      asked: "stream PROTOCOL_ERROR, by RFC 7540",
      newer: "goes on",
    }),
  ],
  "6.1 DATA": [
    one("for no stream", data(0, "x"), PROTOCOL),
    one("padding", [post(1), padded(Type.data, 1, 3, Buffer.from("body\0\0\0"), Flag.endStream)], 200),
    one("padding longer than the frame", [post(1), padded(Type.data, 1, 9, Buffer.from("body"))], PROTOCOL),
    one("a frame without the length of its padding", [post(1), frame(Type.data, Flag.padded, 1)], PROTOCOL),
  ],
  "6.2 HEADERS": [
    one("for no stream", get(0), PROTOCOL),
    one("padding", padded(Type.headers, 1, 2, Buffer.concat([block(...request), Buffer.alloc(2)]), 5), 200),
    one("padding longer than the frame", padded(Type.headers, 1, 200, block(...request), 5), PROTOCOL),
  ],
  "6.3 PRIORITY": [
    one("for no stream", priority(0, 1), PROTOCOL, { asked: PROTOCOL, newer: "goes on" }),
    one("of 4 bytes", frame(Type.priority, 0, 1, Buffer.alloc(4)), "connection FRAME_SIZE_ERROR", {
      asked: "stream FRAME_SIZE_ERROR",
    }),
  ],
  "6.4 RST_STREAM": [
    one("for no stream", rstStream(0), PROTOCOL),
    one("of 3 bytes", [post(1), frame(Type.rstStream, 0, 1, Buffer.alloc(3))], "connection FRAME_SIZE_ERROR"),
    one("an error that nobody knows", [post(1), rstStream(1, 0xff)], "goes on"),
  ],
  "6.5 SETTINGS": [
    one(
      "an acknowledgement with something in it",
      frame(Type.settings, Flag.ack, 0, Buffer.alloc(6)),
      "connection FRAME_SIZE_ERROR",
    ),
    one("for a stream", frame(Type.settings, 0, 1), PROTOCOL),
    one("of 5 bytes", frame(Type.settings, 0, 0, Buffer.alloc(5)), "connection FRAME_SIZE_ERROR"),
    one("ENABLE_PUSH 2", settings(Setting.enablePush, 2), PROTOCOL),
    one(
      "INITIAL_WINDOW_SIZE above 2^31-1",
      settings(Setting.initialWindowSize, 2 ** 31),
      "connection FLOW_CONTROL_ERROR",
    ),
    one("MAX_FRAME_SIZE below 16,384", settings(Setting.maxFrameSize, 16_383), PROTOCOL),
    one("MAX_FRAME_SIZE above 2^24-1", settings(Setting.maxFrameSize, 2 ** 24), PROTOCOL),
    one("one that nobody knows", [settings(0xff, 1), get(1)], 200),
    one("the same twice", [settings(Setting.initialWindowSize, 1, Setting.initialWindowSize, 100), get(1)], 200),
  ],
  "6.6 PUSH_PROMISE": [
    one(
      "from a client",
      [post(1), frame(Type.pushPromise, Flag.endHeaders, 1, Buffer.concat([uint32(2), block(...request)]))],
      PROTOCOL,
    ),
  ],
  "6.7 PING": [
    one("an answer that nobody asked for", frame(Type.ping, Flag.ack, 0, Buffer.from("unasked!")), PROTOCOL, {
      asked: "goes on",
    }),
    one("for a stream", frame(Type.ping, 0, 1, Buffer.alloc(8)), PROTOCOL),
    one("of 6 bytes", frame(Type.ping, 0, 0, Buffer.alloc(6)), "connection FRAME_SIZE_ERROR"),
  ],
  "6.8 GOAWAY": [
    one("for a stream", frame(Type.goaway, 0, 1, Buffer.alloc(8)), PROTOCOL),
    one("a client that goes", frame(Type.goaway, 0, 0, Buffer.alloc(8)), "closed"),
    one(
      "a client that goes with an error that nobody knows",
      frame(Type.goaway, 0, 0, Buffer.concat([uint32(0), uint32(0xff)])),
      "closed",
    ),
  ],
  "6.9 WINDOW_UPDATE": [
    one("of 0, for the connection", windowUpdate(0, 0), PROTOCOL),
    one("of 0, for a stream", [post(1), windowUpdate(1, 0)], PROTOCOL, { asked: MALFORMED }),
    one("of 3 bytes", frame(Type.windowUpdate, 0, 0, Buffer.alloc(3)), "connection FRAME_SIZE_ERROR"),
    one(
      "beyond 2^31-1, for the connection",
      [windowUpdate(0, 2 ** 31 - 1), windowUpdate(0, 2 ** 31 - 1)],
      "connection FLOW_CONTROL_ERROR",
    ),
    one(
      "beyond 2^31-1, for a stream",
      [post(1), windowUpdate(1, 2 ** 31 - 1), windowUpdate(1, 2 ** 31 - 1)],
      "connection FLOW_CONTROL_ERROR",
      { asked: "stream FLOW_CONTROL_ERROR" },
    ),
    one(
      "settings that take a stream's window beyond 2^31-1",
      [post(1), windowUpdate(1, 2 ** 31 - 1 - 65_535), settings(Setting.initialWindowSize, 65_536)],
      "stream FLOW_CONTROL_ERROR",
      { asked: "connection FLOW_CONTROL_ERROR", newer: "connection FLOW_CONTROL_ERROR" },
    ),
  ],
  "6.10 CONTINUATION": [
    one("several", [half, frame(Type.continuation, 0, 1, block(["a", "b"])), rest()], 200),
    one("none, but DATA", [headers(1, request, 0), data(1, "x")], PROTOCOL),
    one("for no stream", [half, rest(0)], PROTOCOL),
    one("for another stream", [half, rest(3)], PROTOCOL),
    one("after the end of the headers", [post(1), rest()], PROTOCOL),
    one("after DATA", [post(1), data(1, "x", 0), rest()], PROTOCOL),
  ],
  "8.1 messages": [
    one("trailers", [post(1), data(1, "x", 0), headers(1, [["x-sum", "1"]])], 200),
    one("trailers that do not end the stream", [post(1), headers(1, [["x-sum", "1"]], OPEN)], MALFORMED),
    one("pseudo headers in trailers", [post(1), data(1, "x", 0), headers(1, [[":method", "GET"]])], MALFORMED),
    one("a length below that of the body", [post(1, ["content-length", "1"]), data(1, "12")], MALFORMED, {
      asked: MALFORMED,
      newer: PROTOCOL,
    }),
    one("a length above that of the body", [post(1, ["content-length", "3"]), data(1, "12")], MALFORMED),
    one("the same in several frames", [post(1, ["content-length", "3"]), data(1, "1", 0), data(1, "1")], MALFORMED),
    one("the same without a body", headers(1, [...requestHeaders("POST"), ["content-length", "3"]]), MALFORMED),
    one("two lengths", [post(1, ["content-length", "1"], ["content-length", "2"]), data(1, "1")], MALFORMED),
    one("a length that is none", [post(1, ["content-length", "1x"]), data(1, "1")], MALFORMED),
    one("the right length", [post(1, ["content-length", "2"]), data(1, "12")], 200),
  ],
  "8.2 header fields": [
    one("a name in capitals", more(["X-Test", "1"]), MALFORMED),
    one("an empty name", more(["", "1"]), 200, DROPPED),
    one("a space in a name", more(["x test", "1"]), 200, DROPPED),
    one("a colon in a name", more(["x:test", "1"]), 200, DROPPED),
    one("NUL in a value", more(["x-test", "a\0b"]), 200, DROPPED),
    one("LF in a value", more(["x-test", "a\nb: c"]), 200, DROPPED),
    one("CR in a value", more(["x-test", "a\rb"]), 200, DROPPED),
    ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"].map((name) =>
      one(`the header ${name}`, more([name, name === "transfer-encoding" ? "chunked" : "x"]), MALFORMED),
    ),
    one("te: gzip", more(["te", "gzip"]), MALFORMED),
    one("te: trailers", more(["te", "trailers"]), 200),
  ],
  "8.3 pseudo headers": [
    one("an unknown one", headers(1, [...request, [":test", "1"]]), MALFORMED),
    one("one of responses", headers(1, [...request, [":status", "200"]]), MALFORMED),
    one("after others", headers(1, [...without(":path"), ["x-a", "1"], [":path", "/"]]), MALFORMED),
    one("no method", headers(1, without(":method")), MALFORMED),
    one("no scheme", headers(1, without(":scheme")), MALFORMED),
    one("no path", headers(1, without(":path")), MALFORMED),
    one("an empty path", headers(1, [...without(":path"), [":path", ""]]), MALFORMED),
    one("a path without a slash", headers(1, [...without(":path"), [":path", "get"]]), MALFORMED),
    one("a star for OPTIONS", headers(1, requestHeaders("OPTIONS", "*")), 200),
    one("two methods", headers(1, [[":method", "GET"], ...request]), MALFORMED),
    one("two schemes", headers(1, [[":scheme", "http"], ...request]), MALFORMED),
    one("two paths", headers(1, [[":path", "/"], ...request]), MALFORMED),
    one("two authorities", headers(1, [[":authority", "y"], ...request]), MALFORMED),
    one("an authority with a user", headers(1, [...without(":authority"), [":authority", "user@x"]]), 400, {
      newer: MALFORMED,
    }),
    one("no authority, but a host", headers(1, [...without(":authority"), ["host", "x"]]), 200),
    one("no authority and no host", headers(1, without(":authority")), MALFORMED),
    one("a method that is no token", headers(1, requestHeaders("GE T")), MALFORMED),
    one(
      "CONNECT",
      headers(1, [
        [":method", "CONNECT"],
        [":authority", "x:80"],
      ]),
      501,
    ),
    one("CONNECT with a path", headers(1, requestHeaders("CONNECT", "/")), MALFORMED),
    one(
      "CONNECT for another protocol",
      headers(1, [...requestHeaders("CONNECT", "/"), [":protocol", "websocket"]]),
      MALFORMED,
    ),
  ],
  HPACK: [
    one("an index beyond the tables", raw(1, Buffer.of(0x80 | 70)), "connection COMPRESSION_ERROR"),
    one(
      "a name's index beyond the tables",
      raw(1, Buffer.of(0x40 | 0x3f, 0x7f), hpackText("x")),
      "connection COMPRESSION_ERROR",
    ),
    one("the index 0", raw(1, Buffer.of(0x80)), "connection COMPRESSION_ERROR"),
    one(
      "a size of the table above the setting",
      frame(Type.headers, 5, 1, Buffer.concat([hpackNumber(4097, 5, 0x20), block(...request)])),
      "connection COMPRESSION_ERROR",
    ),
    one(
      "a size of the table within it",
      frame(Type.headers, 5, 1, Buffer.concat([hpackNumber(4096, 5, 0x20), block(...request)])),
      200,
    ),
    one("a size of the table behind headers", raw(1, Buffer.of(0x20)), "connection COMPRESSION_ERROR"),
    one(
      "Huffman with 8 bits of padding",
      raw(1, Buffer.of(0), hpackText("x"), Buffer.of(0x82, 0x1f, 0xff)),
      "connection COMPRESSION_ERROR",
    ),
    one(
      "Huffman with padding of zeroes",
      raw(1, Buffer.of(0), hpackText("x"), Buffer.of(0x81, 0x18)),
      "connection COMPRESSION_ERROR",
    ),
    one(
      "Huffman with the end in it",
      raw(1, Buffer.of(0), hpackText("x"), Buffer.of(0x84, 0xff, 0xff, 0xff, 0xff)),
      "connection COMPRESSION_ERROR",
    ),
    one("Huffman as it should be", raw(1, Buffer.of(0), hpackText("x"), Buffer.of(0x81, 0x1f)), 200),
    one("a text that is longer than the block", raw(1, Buffer.of(0, 0x7f, 0x01)), "connection COMPRESSION_ERROR"),
    one(
      "a number that does not fit 32 bits",
      raw(1, Buffer.from("7fffffffffffffffff", "hex")),
      "connection COMPRESSION_ERROR",
    ),
    one(
      "a header from the table",
      frame(
        Type.headers,
        5,
        1,
        Buffer.concat([block(...request), Buffer.of(0x40), hpackText("x-a"), hpackText("1"), Buffer.of(0x80 | 62)]),
      ),
      200,
    ),
  ],
};
