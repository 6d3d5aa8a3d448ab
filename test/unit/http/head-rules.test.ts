import type { IncomingMessage } from "node:http";
import { expect } from "chai";
import { headProblem } from "../../../src/http/head-rules.ts";
import { StreamRequest } from "../../../src/http/stream-request.ts";

/** The parts of a parsed request that the rules look at. */
function incoming(url: string, lines: [name: string, value: string][], more: Record<string, unknown> = {}) {
  const headers: Record<string, string> = {};
  for (const [name, value] of lines) headers[name.toLowerCase()] ??= value;
  return { method: "GET", httpVersion: "1.1", url, headers, rawHeaders: lines.flat(), ...more } as IncomingMessage;
}

describe("rules of heads", () => {
  const status = (...parts: Parameters<typeof incoming>) => headProblem(incoming(...parts), 4)?.status;

  it("let through what honest clients send", () => {
    for (const host of [
      "",
      "x",
      "example.org:8080",
      "[::1]",
      "[::1]:80",
      "127.0.0.1",
      "a_b.example",
      "xn--bcher-kva.de:",
    ])
      for (const url of ["/", "/a?b#c", "//a", "http://x/", "https://x:1/y", "HTTP://[::1]/", "http://x?q", "http://x"])
        expect(status(url, [["Host", host]]), `${url} at ${host}`).to.equal(undefined);
    expect(status("*", [["Host", "x"]], { method: "OPTIONS" })).to.equal(undefined);
    expect(status("/", [], { httpVersion: "1.0" })).to.equal(undefined);
    expect(status("/", [["Expect", "100-Continue"]])).to.equal(undefined);
    expect(status("/", [["Expect", "wonders"]], { httpVersion: "1.0" }), "1.0 knows none").to.equal(undefined);
    expect(status("/", [["Transfer-Encoding", "chunked"]])).to.equal(undefined);
  });

  it("leave versions to whoever parsed what is no HTTP/1", () => {
    const connection = { encrypted: false, remoteAddress: "127.0.0.1" } as StreamRequest["socket"];
    const head = { httpVersion: "2.0", method: "GET", url: "/", rawHeaders: ["host", "x"], connection, hasBody: false };
    const request = new StreamRequest(head, () => {});
    expect(headProblem(request as unknown as IncomingMessage, 4)).to.equal(undefined);
  });

  it("refuse hosts that are none, and two, also after the same host was seen", () => {
    expect(status("/", [["Host", "x"]])).to.equal(undefined);
    for (const host of [
      "x y",
      "x/y",
      "a@x",
      "x:y",
      "x:65536",
      "x:99999999999",
      "[::1]:65536",
      "x:80:80",
      "[x",
      "<x>",
      "x\\y",
      "x?y",
      "x#y",
      "[::1]x",
    ])
      expect(status("/", [["Host", host]]), host).to.equal(400);
    for (const name of ["Host", "host", "HOST"])
      expect(
        status("/", [
          ["Host", "x"],
          ["A", "b"],
          [name, "x"],
        ]),
        name,
      ).to.equal(400);
  });

  for (const httpVersion of ["2.0", "1.1"])
    it(`are for HTTP/2 and FastCGI what the parser of HTTP/1 has of its own (${httpVersion})`, () => {
      const connection = { encrypted: false, remoteAddress: "127.0.0.1" } as StreamRequest["socket"];
      const statusOf = (method: string, url: string, name = "a", value = "b") => {
        const rawHeaders = ["host", "x", name, value];
        const request = new StreamRequest(
          { httpVersion, method, url, rawHeaders, connection, hasBody: false },
          () => {},
        );
        return headProblem(request as unknown as IncomingMessage, 4)?.status;
      };
      expect(statusOf("FOO", "/%C3%A9", "x-a", "b\tc\xe9")).to.equal(undefined);
      for (const method of ["", "A B", "(", "A\xe9", "A".repeat(65)])
        expect(statusOf(method, "/"), method).to.equal(400);
      for (const url of ["/a b", "/\0", "/\t", "/\x7f", "/\r\n"]) expect(statusOf("GET", url), url).to.equal(400);
      for (const value of ["\0", "a\r\nb", "\n", "\x1b", "\x7f"])
        expect(statusOf("GET", "/", "a", value), JSON.stringify(value)).to.equal(400);
      for (const name of ["", "a b", "a:", "\xe9"]) expect(statusOf("GET", "/", name), name).to.equal(400);
    });

  it("refuse targets that are neither path nor uri", () => {
    for (const url of [
      "",
      "*",
      "a",
      "x:80",
      "ftp://x/",
      "http://",
      "http:///a",
      "http://a@x/",
      "http://a:b@x/",
      "http:/x",
    ])
      expect(status(url, [["Host", "x"]]), url).to.equal(400);
  });

  it("refuse versions and encodings that nobody here speaks", () => {
    for (const httpVersion of ["0.9", "1.2", "2.0", "3.0"]) expect(status("/", [], { httpVersion })).to.equal(505);
    expect(status("/", [["Transfer-Encoding", "chunked"]], { httpVersion: "1.0" })).to.equal(400);
    expect(status("/", [["Expect", "wonders"]])).to.equal(417);
  });

  it("count headers, and name the key that limits them", () => {
    const headers = (count: number) =>
      Array.from({ length: count }, (_, index): [string, string] => [`X-${index}`, "v"]);
    expect(headProblem(incoming("/", headers(4)), 4)).to.equal(undefined);
    expect(headProblem(incoming("/", headers(5)), 4)).to.deep.equal({
      status: 431,
      message: "the request has more than 4 headers (http.max_headers)",
    });
  });
});
