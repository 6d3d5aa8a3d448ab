import { expect } from "chai";
import { escapeHighBytes, judgeRequestLine } from "../../../../src/http/http1/request-line.ts";

/** "plain", a status, or the line and the method that stand for what was there. */
function verdictOf(line: string): unknown {
  const bytes = Buffer.from(`before${line}\r\nHost: h\r\n\r\n`, "latin1");
  const verdict = judgeRequestLine(bytes, "before".length, "before".length + line.length);
  if (verdict.kind === "plain") return "plain";
  return verdict.kind === "refused" ? verdict.status : [verdict.line.toString("latin1"), verdict.method];
}

describe("first line of a request", () => {
  for (const [name, line, expected] of [
    ["a usual one", "GET / HTTP/1.1", "plain"],
    ["HTTP/1.0", "POST /a?b HTTP/1.0", "plain"],
    ["another version, which the parser refuses", "GET / HTTP/9.9", "plain"],
    ["no version, which the parser refuses", "GET /", "plain"],
    [
      "UTF-8 in the path and the query",
      "GET /caf\xc3\xa9?q=\xc3\xbc HTTP/1.1",
      ["GET /caf%C3%A9?q=%C3%BC HTTP/1.1\r\n", undefined],
    ],
    ["a byte that is no UTF-8", "GET /\xff HTTP/1.1", ["GET /%FF HTTP/1.1\r\n", undefined]],
    ["escapes stay as they are", "GET /%c3%a9\xe9 HTTP/1.1", ["GET /%c3%a9%E9 HTTP/1.1\r\n", undefined]],
    ["an unknown method", "LIST /a HTTP/1.1", ["POST /a HTTP/1.1\r\n", "LIST"]],
    ["one that differs by its case alone", "get / HTTP/1.1", ["POST / HTTP/1.1\r\n", "get"]],
    [
      "every character of a token",
      "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1",
      ["POST / HTTP/1.1\r\n", "!#$%&'*+-.^_`|~09azAZ"],
    ],
    ["an unknown method and UTF-8", "LIST /\xc3\xa9 HTTP/1.1", ["POST /%C3%A9 HTTP/1.1\r\n", "LIST"]],
    ["a method of 64 characters", `${"A".repeat(64)} / HTTP/1.1`, ["POST / HTTP/1.1\r\n", "A".repeat(64)]],
    ["a method of 65", `${"A".repeat(65)} / HTTP/1.1`, 400],
    ["a method that is no token", "G(T / HTTP/1.1", 400],
    ["a method with high bytes", "G\xcbT / HTTP/1.1", 400],
    ["no method", " / HTTP/1.1", 400],
    ["a method alone", "GET", 400],
    ["a tab", "GET\t/ HTTP/1.1", 400],
    ["a line feed", "GET / HTTP/1.1\nHost: x", 400],
    ["NUL", "GET /\0 HTTP/1.1", 400],
    ["DEL", "GET /\x7f HTTP/1.1", 400],
    ["RTSP", "GET / RTSP/1.0", 505],
    ["RTSP of another version", "DESCRIBE rtsp://h/ RTSP/2.0", 505],
    ["ICE", "SOURCE / ICE/1.0", 400],
    ["a path that has such a name in it", "GET /RTSP/1.0 HTTP/1.1", "plain"],
  ] as const)
    it(`${name}: ${JSON.stringify(expected)}`, () => expect(verdictOf(line)).to.deep.equal(expected));

  it("escapes bytes above 0x7f, and nothing else", () => {
    for (let byte = 0; byte < 256; byte++) {
      const text = String.fromCharCode(byte);
      expect(escapeHighBytes(`/${text}/`)).to.equal(
        byte < 0x80 ? `/${text}/` : `/%${byte.toString(16).toUpperCase()}/`,
      );
    }
  });
});
