/** What is sent, and what has to come of it. */
export interface HostileRequest {
  readonly name: string;
  readonly bytes: string;
  /** Of all responses, in their order. */
  readonly statuses: readonly number[];
  /** The server ends the connection. */
  readonly closes: boolean;
  /** The client sends no more after it. */
  readonly ends?: boolean;
  /** Somewhere in the responses. */
  readonly says?: RegExp;
}

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

const head = (...lines: string[]) => `${lines.join("\r\n")}\r\n\r\n`;
const get = (...lines: string[]) => head("GET /get HTTP/1.1", "Host: x", ...lines);
const post = (...lines: string[]) => head("POST /post HTTP/1.1", "Host: x", ...lines);
const chunked = (body: string) => post("Transfer-Encoding: chunked") + body;
const form = (body: string) =>
  post("Content-Type: application/x-www-form-urlencoded", `Content-Length: ${body.length}`) + body;
const path = (target: string) => head(`GET ${target} HTTP/1.1`, "Host: x");

type Entry = [name: string, bytes: string, says?: RegExp];

/** All of these are refused with one response, and nothing that follows on the connection is looked at. */
function refused(status: number, entries: Entry[]): HostileRequest[] {
  return entries.map(([name, bytes, says]) => ({
    name,
    bytes: bytes + SMUGGLED,
    statuses: [status],
    closes: true,
    ...(says && { says }),
  }));
}

/** These are answered, and the connection goes on. */
function answered(status: number, entries: Entry[]): HostileRequest[] {
  return entries.map(([name, bytes, says]) => ({
    name,
    bytes,
    statuses: [status],
    closes: false,
    ...(says && { says }),
  }));
}

const LENGTHS = ["ten", "+5", "-1", "0x5", "5 1", "5,5", "5, 6", "", "99999999999999999999", "1e3", "5\t6"];
const ENCODINGS = [
  "xchunked",
  "chunked, identity",
  "identity",
  "gzip, chunked",
  "chunked, chunked",
  "chunked;q=1",
  "chun ked",
  '"chunked"',
  "chunked,",
  ", chunked",
  "",
];
const CHUNKS: Record<string, string> = {
  "a size that is no number": "zz\r\n",
  "a negative size": "-1\r\nx\r\n0\r\n\r\n",
  "a size with a prefix": "0x1\r\nx\r\n0\r\n\r\n",
  "a size that overflows": "FFFFFFFFFFFFFFFFF\r\nx\r\n0\r\n\r\n",
  "no size": "\r\nx\r\n0\r\n\r\n",
  "a space before the size": " 1\r\nx\r\n0\r\n\r\n",
  "a space after the size": "1 \r\nx\r\n0\r\n\r\n",
  "bare LF after the size": "1\nx\r\n0\r\n\r\n",
  "bare CR after the size": "1\rx\r\n0\r\n\r\n",
  "more data than the size says": "1\r\nxyz\r\n0\r\n\r\n",
  "bare LF after the data": "1\r\nx\n0\r\n\r\n",
  "a bare LF in an extension": "1;a\nb\r\nx\r\n0\r\n\r\n",
  "a bare CR in an extension": "1;a\rb\r\nx\r\n0\r\n\r\n",
  "a NUL in an extension": "1;a\0b\r\nx\r\n0\r\n\r\n",
};
const CONTROLS: Record<string, string> = { NUL: "\0", SOH: "\x01", BEL: "\x07", ESC: "\x1b", DEL: "\x7f", VT: "\x0b" };

export const GROUPS: Record<string, HostileRequest[]> = {
  "with a body whose end is not clear": [
    ...refused(400, [
      ["two lengths that differ", post("Content-Length: 1", "Content-Length: 2")],
      ["two lengths that do not", post("Content-Length: 1", "Content-Length: 1")],
      ["length and chunks", `${post("Content-Length: 5", "Transfer-Encoding: chunked")}0\r\n\r\n`],
      ["chunks and length", `${post("Transfer-Encoding: chunked", "Content-Length: 5")}0\r\n\r\n`],
      ["two encodings", `${post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")}0\r\n\r\n`],
      ["two encodings that differ", `${post("Transfer-Encoding: chunked", "Transfer-Encoding: identity")}0\r\n\r\n`],
      [
        "chunks in HTTP/1.0",
        `${head("POST /post HTTP/1.0", "Host: x", "Connection: keep-alive", "Transfer-Encoding: chunked")}0\r\n\r\n`,
      ],
      ...LENGTHS.map((length): Entry => [`the length ${JSON.stringify(length)}`, post(`Content-Length: ${length}`)]),
      ...ENCODINGS.map(
        (encoding): Entry => [
          `the encoding ${JSON.stringify(encoding)}`,
          `${post(`Transfer-Encoding: ${encoding}`)}0\r\n\r\n`,
        ],
      ),
      ...Object.entries(CHUNKS).map(([name, body]): Entry => [`a chunk with ${name}`, chunked(body)]),
    ]),
    ...refused(400, [["a length among the trailers", chunked("1\r\nx\r\n0\r\nContent-Length: 50\r\n\r\n")]]),
    ...refused(413, [["a chunk with an extension of 64 KB", chunked(`1;${"a".repeat(65_536)}\r\nx\r\n0\r\n\r\n`)]]),
    ...answered(200, [
      ["a body that looks like a request", post(`Content-Length: ${SMUGGLED.length}`) + SMUGGLED, /post \d+$/],
      ["a body of GET that looks like a request", get(`Content-Length: ${SMUGGLED.length}`) + SMUGGLED],
      ["a chunk that looks like a request", chunked(`${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`)],
      ["trailers that look like headers", chunked("1\r\nx\r\n0\r\nHost: y\r\nExpect: x\r\n\r\n"), /x\/post 1$/],
      ["ten thousand chunks of one byte", chunked(`${"1\r\nx\r\n".repeat(10_000)}0\r\n\r\n`), / 10000$/],
    ]),
    {
      name: "half a body, then the end",
      bytes: `${post("Content-Length: 9")}half`,
      statuses: [400],
      closes: true,
      ends: true,
    },
    { name: "half a chunk, then the end", bytes: chunked("9\r\nhalf"), statuses: [400], closes: true, ends: true },
  ],
  "with broken lines": [
    ...refused(400, [
      ["bare LF everywhere", "GET /get HTTP/1.1\nHost: x\n\n"],
      ["bare LF after the request line", "GET /get HTTP/1.1\nHost: x\r\n\r\n"],
      ["bare LF after a header", "GET /get HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n"],
      ["bare LF at the end of the head", "GET /get HTTP/1.1\r\nHost: x\r\n\n"],
      ["bare CR after a header", "GET /get HTTP/1.1\r\nHost: x\rX-A: b\r\n\r\n"],
      ["a folded header", get("X-Folded: one", " two")],
      ["a header folded with a tab", get("X-Folded: one", "\ttwo")],
      ["a folded length", post("Content-Length:", " 5")],
      ["a fold before all headers", head("GET /get HTTP/1.1", " X-A: b", "Host: x")],
      ["a space before a colon", get("X-A : b")],
      ["a space before the colon of the length", `${post("Content-Length : 5")}12345`],
      ["a tab before the colon of the encoding", `${post("Transfer-Encoding\t: chunked")}0\r\n\r\n`],
      ["a header without a name", get(": value")],
      ["a header without a colon", get("nothing")],
      ["a name with a parenthesis", get("X(A): b")],
      ["a name with bytes beyond ASCII", get("X-\xe4: b")],
      ...Object.entries(CONTROLS).flatMap(([name, character]): Entry[] => [
        [`${name} in the name of a header`, get(`X-A${character}: b`)],
        [`${name} in the value of a header`, get(`X-A: b${character}c`)],
        [`${name} in the path`, path(`/a${character}b`)],
      ]),
    ]),
  ],
  "with a broken request line": [
    ...refused(400, [
      ["a space in the path", path("/a b")],
      ["a tab in place of a space", "GET\t/get HTTP/1.1\r\nHost: x\r\n\r\n"],
      ["a method that is no token", "F(O) /get HTTP/1.1\r\nHost: x\r\n\r\n"],
      ["a method with bytes beyond ASCII", "F\xd6\xd6 /get HTTP/1.1\r\nHost: x\r\n\r\n"],
      ["a method of 65 letters", `${"G".repeat(65)} /get HTTP/1.1\r\nHost: x\r\n\r\n`],
      ["bytes beyond ASCII in the version", "GET /get HTTP/1.\xb9\r\nHost: x\r\n\r\n"],
      ["a method of a megabyte", `${"G".repeat(1 << 20)} / HTTP/1.1\r\nHost: x\r\n\r\n`],
      ["a lower-case version", "GET /get http/1.1\r\nHost: x\r\n\r\n"],
      ["another protocol's name", "GET /get ICE/1.0\r\nHost: x\r\n\r\n"],
      ["the method of that protocol, too", "SOURCE /get ICE/1.0\r\nHost: x\r\n\r\n"],
      ["a bare LF before it", `\n${get()}`],
      ["a bare CR before it", `\r${get()}`],
      ["LF CR before it", `\n\r${get()}`],
      ["five empty lines before it", "\r\n".repeat(5) + get()],
      ["a path without a slash", path("get")],
      ["a star for GET", path("*")],
      ["a uri with user and password", path("http://user:secret@x/get")],
      ["a uri of another scheme", path("ftp://x/get")],
      ["a uri without a host", path("http:///get")],
      ["an SSH client", "SSH-2.0-OpenSSH_9.2\r\n"],
      ["a TLS client", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ]),
    ...refused(505, [
      ["no version, as HTTP/0.9 had it", "GET /get\r\n\r\n"],
      ["HTTP/0.9 by name", "GET /get HTTP/0.9\r\nHost: x\r\n\r\n"],
      ["HTTP/1.2", "GET /get HTTP/1.2\r\nHost: x\r\n\r\n"],
      ["HTTP/2.0", "GET /get HTTP/2.0\r\nHost: x\r\n\r\n"],
      ["HTTP/3.0", "GET /get HTTP/3.0\r\nHost: x\r\n\r\n"],
      ["RTSP/1.0", "GET /get RTSP/1.0\r\nHost: x\r\n\r\n"],
      ["RTSP/1.0 with a method of its own", "DESCRIBE rtsp://x/get RTSP/1.0\r\nCSeq: 1\r\n\r\n"],
    ]),
    ...refused(405, [["CONNECT", "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n"]]),
    ...refused(431, [["a path of a megabyte", path(`/${"a".repeat(1 << 20)}`)]]),
    ...answered(200, [
      ["a uri with another host than the header", path("http://y/get"), /php saw GET http:\/\/y\/get 0$/],
      ["a method that nobody knows", "FOO /get HTTP/1.1\r\nHost: x\r\n\r\n", /php saw FOO http:\/\/x\/get 0$/],
      ["a method in lower case, which is another one", "get /get HTTP/1.1\r\nHost: x\r\n\r\n", /php saw get http/],
      ["UTF-8 in path and query", path("/caf\xc3\xa9?q=\xc3\xbc"), /php saw GET http:\/\/x\/caf%C3%A9\?q=%C3%BC 0$/],
      ["TRACE, which is the application's business", "TRACE /get HTTP/1.1\r\nHost: x\r\n\r\n", /php saw TRACE/],
      ["a star for OPTIONS, which means the server", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", /Length: 0\r\n/],
      ["empty lines before it", `\r\n\r\n${get()}`],
    ]),
  ],
  "with a broken host": refused(400, [
    ["none", head("GET /get HTTP/1.1", "X-A: b")],
    ["two", get("Host: y")],
    ["twice the same", get("host: x")],
    ["a path", head("GET /get HTTP/1.1", "Host: x/y")],
    ["a user", head("GET /get HTTP/1.1", "Host: y@x")],
    ["a space", head("GET /get HTTP/1.1", "Host: x y")],
    ["a port that is none", head("GET /get HTTP/1.1", "Host: x:y")],
    ["a fragment", head("GET /get HTTP/1.1", "Host: x#y")],
    ["markup", head("GET /get HTTP/1.1", "Host: <b>")],
  ]),
  "that want out of the folder": [
    ...answered(403, [
      ["dots", path("/../secret.txt")],
      ["dots below a folder", path("/folder/../../secret.txt")],
      ["encoded dots", path("/%2e%2e/secret.txt")],
      ["one encoded dot", path("/.%2E/secret.txt")],
      ["an encoded slash", path("/..%2fsecret.txt")],
      ["a backslash", path("/..\\secret.txt")],
      ["an encoded backslash", path("/..%5csecret.txt")],
      ["two slashes", path("//../secret.txt")],
      ["dots of a whole uri", path("http://x/../secret.txt")],
    ]),
    ...answered(400, [
      ["NUL", path("/style.css%00.txt")],
      ["dots and NUL", path("/../secret.txt%00.css")],
    ]),
    ...answered(200, [
      ["dots in UTF-8 that is too long", path("/%c0%ae%c0%ae/secret.txt"), /php saw/],
      ["slashes in UTF-8 that is too long", path("/..%c0%afsecret.txt"), /php saw/],
      ["dots encoded twice", path("/%252e%252e/secret.txt"), /php saw/],
      ["a broken escape", path("/%zz/style.css"), /php saw/],
      ["dots in the query alone", path("/style.css?/../secret.txt"), /body \{\}$/],
    ]),
  ],
  "with too much": [
    ...refused(431, [
      ["257 headers", get(...Array.from({ length: 257 }, (_, index) => `X-${index}: v`))],
      ["10,000 headers", get(...Array.from({ length: 10_000 }, () => "a:"))],
      [
        "10,000 headers of some length",
        get(...Array.from({ length: 10_000 }, (_, index) => `X-Header-${index}: value`)),
      ],
      ["a header of a megabyte", get(`X-Large: ${"x".repeat(1 << 20)}`)],
      ["a header's name of a megabyte", get(`${"x".repeat(1 << 20)}: 1`)],
      ["trailers of a megabyte", chunked(`0\r\nX-Large: ${"x".repeat(1 << 20)}\r\n\r\n`)],
    ]),
    ...refused(413, [
      ["a body that is announced as too large", post("Content-Length: 1048577")],
      ["the same, when it is to be asked for", post("Content-Length: 1048577", "Expect: 100-continue")],
      ["chunks that are too large", chunked(`100001\r\n${"x".repeat(0x100001)}\r\n0\r\n\r\n`)],
    ]),
    ...answered(413, [["100,000 form fields", form(Array.from({ length: 100_000 }, () => "a=1").join("&"))]]),
    ...answered(400, [
      ["a form of 128 levels", form(`a${"[b]".repeat(127)}=1`)],
      ["a form of 100,000 levels", form(`a${"[b]".repeat(100_000)}=1`)],
      ["lists of 100,000 levels", form(`a${"[]".repeat(100_000)}=1`)],
      ["a form whose name has a megabyte", form(`${"a+".repeat(500_000)}[=1`)],
    ]),
    ...answered(200, [["10,000 form fields", form(Array.from({ length: 10_000 }, () => "a=1").join("&"))]]),
  ],
  "that ask for more than a response": [
    ...refused(417, [["an expectation that nobody knows", post("Content-Length: 5", "Expect: miracles")]]),
    ...answered(200, [
      [
        "an upgrade with a body that looks like a request",
        post("Connection: Upgrade", "Upgrade: x", `Content-Length: ${SMUGGLED.length}`) + SMUGGLED,
        /post \d+$/,
      ],
      [
        "an upgrade with a chunk that looks like a request",
        `${post("Connection: Upgrade", "Upgrade: x", "Transfer-Encoding: chunked")}${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
        /post \d+$/,
      ],
      ["an upgrade to WebSocket", get("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")],
      ["an upgrade to HTTP/2", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")],
    ]),
    {
      name: "another request after Connection: close",
      bytes: get("Connection: close") + SMUGGLED,
      statuses: [200],
      closes: true,
    },
    {
      name: "another request of HTTP/1.0",
      bytes: head("GET /get HTTP/1.0", "Host: x") + SMUGGLED,
      statuses: [200],
      closes: true,
    },
    {
      name: "three at once",
      bytes: `${get()}${post("Content-Length: 1")}x${get()}`,
      statuses: [200, 200, 200],
      closes: false,
    },
    {
      name: "an upgrade, and another request behind it",
      bytes: `${get("Connection: Upgrade", "Upgrade: websocket")}${post("Content-Length: 1")}x`,
      statuses: [200, 200],
      closes: false,
    },
    {
      name: "a request behind an unknown method with a body",
      bytes: `LIST /get HTTP/1.1\r\nHost: x\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}${get()}`,
      statuses: [200, 200],
      closes: false,
    },
    {
      name: "nonsense after three requests",
      bytes: `${get()}${post("Content-Length: 1")}x${get()}nonsense\r\n\r\n`,
      statuses: [200, 200, 200],
      closes: true,
    },
    {
      name: "a broken chunk after three requests",
      bytes: `${get()}${post("Content-Length: 1")}x${get()}${chunked("x\r\n")}`,
      statuses: [200, 200, 200],
      closes: true,
    },
    {
      name: "another request after two, of which the second has Connection: close",
      bytes: get() + get("Connection: close") + SMUGGLED,
      statuses: [200, 200],
      closes: true,
    },
    { name: "nonsense after a request", bytes: `${get()}nonsense\r\n\r\n`, statuses: [200], closes: true },
    { name: "half a head, then the end", bytes: "GET / HTTP/1.1\r\nHo", statuses: [400], closes: true, ends: true },
    { name: "nothing, then the end", bytes: "", statuses: [], closes: true, ends: true },
  ],
};
