import { once } from "node:events";
import { createServer } from "node:net";
import { expect } from "chai";
import { Codec } from "../../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import { RrError } from "../../../src/errors.ts";
import type { StepFactory } from "../../../src/http/middleware.ts";
import { startFrontend } from "../../../src/http/server.ts";
import {
  closeFrontends,
  httpOptions,
  MemoryDispatch,
  memoryLog,
  RawConnection,
  send,
  testFrontend,
} from "./support.ts";

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

async function rejectionOf(promise: Promise<unknown>): Promise<RrError> {
  try {
    await promise;
  } catch (thrown) {
    expect(thrown).to.be.instanceOf(RrError);
    return thrown as RrError;
  }
  throw new Error("the promise was fulfilled");
}

describe("frontend", () => {
  afterEach(closeFrontends);

  describe("requests", () => {
    it("reach the pool with everything the worker is told", async () => {
      const { dispatch, port } = await testFrontend();
      const response = send(port, {
        path: "/a/../b?x=1&y[]=%202",
        headers: {
          "x-multi": ["one", "two"],
          cookie: "sid=a+b%20c; bad=%zz",
          "x-request-id": "abc-1",
          host: "example.com:8080",
        },
      });
      const call = await dispatch.next();
      expect(call.context).to.deep.equal({
        remoteAddr: "127.0.0.1",
        protocol: "HTTP/1.1",
        method: "GET",
        uri: "http://example.com:8080/a/../b?x=1&y[]=%202",
        headers: {
          "X-Multi": ["one", "two"],
          Cookie: ["sid=a+b%20c; bad=%zz"],
          "X-Request-Id": ["abc-1"],
          Connection: ["close"],
        },
        cookies: { sid: "a+b c" },
        rawQuery: "x=1&y[]=%202",
        parsed: false,
        uploads: null,
        attributes: {},
      });
      expect(call.request).to.include({
        pool: "http",
        codec: Codec.JSON,
        moreBody: false,
        idempotent: true,
        requestId: "abc-1",
        windowBytes: 262_144,
      });
      expect(call.body).to.have.length(0);
      call.answer(
        201,
        { "Content-Type": ["text/plain"], "Set-Cookie": ["a=1", "b=2"], "content-length": ["99"] },
        "hello",
      );
      const { status, headers, body } = await response;
      expect(status).to.equal(201);
      expect(headers["set-cookie"]).to.deep.equal(["a=1", "b=2"]);
      expect(headers).to.include({ "content-type": "text/plain", "content-length": "5" });
      expect(headers).not.to.have.property("x-hono-already-sent");
      expect(body).to.equal("hello");
    });

    it("have a request id of their own when the client sends none, or one unfit for logs", async () => {
      const { dispatch, port } = await testFrontend();
      dispatch.answerer = (call) => call.answer(200, {});
      await send(port);
      await send(port, { headers: { "x-request-id": "a b" } });
      const [first, second] = dispatch.calls.map(({ request }) => request.requestId);
      expect(first).to.match(/^[\w-]+$/);
      expect(second).to.match(/^[\w-]+$/);
      expect(first).not.to.equal(second);
    });

    it("are idempotent if the method is safe or the client gives a key", async () => {
      const { dispatch, port } = await testFrontend();
      dispatch.answerer = (call) => call.answer(200, {});
      for (const method of ["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "DELETE", "PROPFIND"])
        await send(port, { method });
      await send(port, { method: "POST", headers: { "idempotency-key": "k" } });
      expect(dispatch.calls.map(({ request }) => request.idempotent)).to.deep.equal([
        true,
        true,
        true,
        true,
        false,
        false,
        false,
        false,
        true,
      ]);
      expect(dispatch.calls.map(({ context }) => context.method)).to.include.members(["TRACE", "PROPFIND"]);
    });

    it("travel as protobuf when configured so", async () => {
      const { dispatch, port } = await testFrontend({ contextCodec: "proto" });
      dispatch.answerer = (call) =>
        call.piece({ context: Buffer.from("08c801", "hex"), codec: Codec.PROTO, body: Buffer.from("ok") });
      expect((await send(port)).body).to.equal("ok");
      expect(dispatch.calls[0]!.request.codec).to.equal(Codec.PROTO);
      expect(Buffer.from(dispatch.calls[0]!.request.context).toString("latin1")).to.contain(
        "\x12\x08HTTP/1.1\x1a\x03GET",
      );
    });

    it("of HTTP/1.0 without a host get one", async () => {
      const { dispatch, port } = await testFrontend();
      dispatch.answerer = (call) => call.answer(200, {}, "old");
      const text = await new RawConnection(port).write("GET /x HTTP/1.0\r\n\r\n").all();
      expect(text)
        .to.match(/^HTTP\/1.1 200 OK\r\n/)
        .and.to.match(/\r\n\r\nold$/);
      expect(dispatch.calls[0]!.context).to.include({ protocol: "HTTP/1.0", uri: `http://127.0.0.1:${port}/x` });
    });

    it("may name the whole uri", async () => {
      const { dispatch, port } = await testFrontend();
      dispatch.answerer = (call) => call.answer(200, {});
      await new RawConnection(port)
        .write("GET http://other/x?y HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .all();
      expect(dispatch.calls[0]!.context).to.include({ uri: "http://other/x?y", rawQuery: "y" });
    });

    it("that are pipelined are answered in order, one at a time", async () => {
      const { dispatch, port } = await testFrontend();
      const connection = new RawConnection(port);
      connection.write("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
      const first = await dispatch.next();
      expect(dispatch.calls).to.have.length(1);
      first.answer(200, {}, "one");
      const second = await dispatch.next();
      expect(second.context.uri).to.equal("http://h/2");
      second.answer(200, {}, "two");
      expect(await connection.until("two")).to.match(/one[\s\S]*two$/);
      connection.socket.destroy();
    });
  });

  describe("bodies", () => {
    it("of forms become trees", async () => {
      const { dispatch, port } = await testFrontend();
      const response = send(port, { method: "POST", headers: FORM, body: "a[b]=1&c[]=x&c[]=y+z" });
      const call = await dispatch.next();
      expect(call.context.parsed).to.equal(true);
      expect(JSON.parse(call.body.toString())).to.deep.equal({ a: { b: "1" }, c: ["x", "y z"] });
      call.answer(200, {});
      await response;
    });

    for (const [contextCodec, expected] of [
      ["json", "{}"],
      ["proto", ""],
    ] as const)
      it(`of empty forms are "${expected}" for workers of the ${contextCodec} protocol`, async () => {
        const { dispatch, port } = await testFrontend({ contextCodec });
        dispatch.answerer = (call) => call.answer(200, {});
        await send(port, { method: "POST", headers: FORM });
        await send(port, { method: "DELETE", headers: FORM, body: "a=1" });
        expect(dispatch.calls.map(({ body }) => body.toString())).to.deep.equal([expected, expected]);
      });

    it("of forms stay as they are with raw_body", async () => {
      const { dispatch, port } = await testFrontend({ rawBody: true });
      dispatch.answerer = (call) => call.answer(200, {});
      await send(port, { method: "POST", headers: FORM, body: "a=%zz;" });
      expect(dispatch.calls[0]!.context.parsed).to.equal(false);
      expect(dispatch.calls[0]!.body.toString()).to.equal("a=%zz;");
    });

    it("of any other type come as they are, for every method but HEAD and OPTIONS", async () => {
      const { dispatch, port } = await testFrontend();
      dispatch.answerer = (call) => call.answer(200, {});
      const body = Buffer.from([0, 255, 1, 13, 10]);
      for (const method of ["POST", "GET", "DELETE", "OPTIONS", "HEAD"])
        await send(port, { method, body, headers: { "Content-Length": "5" } });
      expect(dispatch.calls.map((call) => call.body.toString("hex"))).to.deep.equal([
        "00ff010d0a",
        "00ff010d0a",
        "00ff010d0a",
        "",
        "",
      ]);
      expect(dispatch.calls.map(({ context }) => context.parsed)).to.deep.equal([false, false, false, false, false]);
    });

    it("that are large stream in, and wait while the core has no room", async () => {
      const { dispatch, port } = await testFrontend({ maxRequestBytes: 100 * 1024 * 1024 });
      const opened = dispatch.next();
      const body = Buffer.alloc(8 * 1024 * 1024, "0123456789");
      const response = send(port, { method: "PUT", body });
      const call = await opened;
      call.writable = false;
      expect(call.request.moreBody).to.equal(true);
      await call.until(({ waitingSenders }) => waitingSenders === 1);
      const sentPieces = call.sentPieces;
      // What the kernel's buffers hold may not come while nobody asks for it.
      await new Promise((resolve) => setImmediate(resolve));
      expect(call.sentPieces).to.equal(sentPieces);
      call.uncongest();
      await call.until(({ complete }) => complete);
      expect(call.body.equals(body)).to.equal(true);
      call.answer(200, {}, "stored");
      expect((await response).body).to.equal("stored");
    });

    it("of large forms are handed on in pieces", async () => {
      const { dispatch, port } = await testFrontend({ maxRequestBytes: 100 * 1024 * 1024 });
      const value = "x".repeat(1_500_000);
      const response = send(port, { method: "POST", headers: FORM, body: `a=${value}` });
      const call = await dispatch.next();
      await call.until(({ complete }) => complete);
      expect(call.request.body.length).to.be.lessThan(300_000);
      expect(JSON.parse(call.body.toString())).to.deep.equal({ a: value });
      call.answer(200, {});
      await response;
    });

    it("are asked for with 100 Continue when they are wanted", async () => {
      const { dispatch, port } = await testFrontend();
      const connection = new RawConnection(port);
      connection.write("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
      await connection.until("HTTP/1.1 100 Continue\r\n\r\n");
      connection.write("abc");
      const call = await dispatch.next();
      expect(call.body.toString()).to.equal("abc");
      call.answer(200, {}, "done");
      await connection.until("done");
      connection.socket.destroy();
    });

    it("are not asked for when they are too large", async () => {
      const { dispatch, port } = await testFrontend({ maxRequestBytes: 2 });
      const connection = new RawConnection(port);
      connection.write("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
      expect(await connection.all()).to.match(/^HTTP\/1.1 413 /);
      expect(dispatch.calls).to.have.length(0);
    });
  });

  describe("bad input", () => {
    const refusals: [name: string, status: number, headers: Record<string, string>, body: string, answer?: RegExp][] = [
      ["a name of too many parts in a form", 400, FORM, `a${"[b]".repeat(127)}=1`, /127 parts/],
      ["a name that is too long in a form", 400, FORM, `${"%41".repeat(9_000)}=1`, /8192 bytes/],
      ["a body that is too large", 413, {}, "x".repeat(50_000)],
      ["a form that is too large", 413, FORM, `a=${"x".repeat(50_000)}`, /40000 bytes/],
      [
        "a chunked form that is too large",
        413,
        { ...FORM, "Transfer-Encoding": "chunked" },
        "x".repeat(50_000),
        /40000/,
      ],
      ["a chunked body that is too large", 413, { "Transfer-Encoding": "chunked" }, "x".repeat(50_000)],
      ["an encoding that nobody can undo", 400, { "Transfer-Encoding": "gzip, chunked" }, "x"],
    ];
    for (const [name, status, headers, body, answer = /^$/] of refusals)
      it(`${name} is answered with ${status} and no worker sees it`, async () => {
        const { dispatch, port, frontend } = await testFrontend({ maxRequestBytes: 40_000 });
        const response = await send(port, { method: "POST", headers, body });
        expect(response.status).to.equal(status);
        expect(response.body).to.match(answer);
        expect(dispatch.calls).to.have.length(0);
        expect(frontend.stats().responses).to.include({ 4: 1, 5: 0 });
      });

    const unparsable: [name: string, status: number, text: string][] = [
      ["a content length that is no number", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: abc\r\n\r\n"],
      ["a negative content length", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"],
      ["two content lengths", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
      [
        "a length and chunks",
        400,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      ],
      ["no HTTP at all", 400, "\x16\x03\x01\x02\x00\x01\x00"],
      ["a request without host", 400, "GET / HTTP/1.1\r\n\r\n"],
      ["a host that is none", 400, "GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n"],
      ["a broken chunk", 400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
      ["a header that is too large", 431, `GET / HTTP/1.1\r\nHost: h\r\nX-A: ${"a".repeat(200_000)}\r\n\r\n`],
      ["headers that are too many", 431, `GET / HTTP/1.1\r\nHost: h\r\n${"X-A: abcdef\r\n".repeat(20_000)}\r\n`],
    ];
    for (const [name, status, text] of unparsable)
      it(`${name} is answered with ${status} and the connection closed`, async () => {
        const { dispatch, port } = await testFrontend();
        const answer = await new RawConnection(port).write(text).all();
        expect(answer).to.match(new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*Connection: close\r\n`, "i"));
        expect(dispatch.calls).to.have.length(0);
      });

    it("a body that grows too large after its call was opened ends the call, and the client reads why", async () => {
      const { dispatch, port } = await testFrontend({ maxRequestBytes: 500_000 });
      const connection = new RawConnection(port).write(
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
      );
      const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
      connection.write(chunk.repeat(8));
      const call = await dispatch.next();
      await call.until(({ cancelled }) => cancelled);
      expect(await connection.until("\r\n\r\n")).to.match(/^HTTP\/1.1 413 /);
      expect(call.complete).to.equal(false);
      connection.socket.destroy();
    });

    it("a chunk that is announced as too large is answered with 413 before it is there", async () => {
      const { dispatch, port } = await testFrontend({ maxRequestBytes: 500_000 });
      for (const size of ["7A121", "FFFFFFFF", "FFFFFFFFFFFFFFFF"]) {
        const head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        const connection = new RawConnection(port).write(`${head}${size}\r\nabc`);
        expect(await connection.until("\r\n\r\n"), size).to.match(/^HTTP\/1.1 413 /);
        connection.socket.destroy();
      }
      expect(dispatch.calls).to.have.length(0);
    });

    it("a body that does not come is answered with 408", async () => {
      const { dispatch, port } = await testFrontend({ bodyIdleTimeoutMs: 40 });
      const connection = new RawConnection(port);
      connection.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
      expect(await connection.until("\r\n\r\n")).to.match(/^HTTP\/1.1 408 [\s\S]*Connection: close/);
      expect(dispatch.calls).to.have.length(0);
      connection.socket.destroy();
    });

    it("a head that does not come is answered with 408", async () => {
      const { port } = await testFrontend({ headerTimeoutMs: 60 });
      const answer = await new RawConnection(port).write("GET / HTTP/1.1\r\nHo").all();
      expect(answer).to.match(/^HTTP\/1.1 408 /);
    });

    it("more headers than Node would keep arrive all", async () => {
      const { dispatch, port } = await testFrontend({ maxHeaderBytes: 1024 * 1024 });
      dispatch.answerer = (call) => call.answer(200, {});
      const lines = Array.from({ length: 3_000 }, (_, index) => `X-${index}: v\r\n`).join("");
      await new RawConnection(port).write(`GET / HTTP/1.1\r\nHost: h\r\n${lines}Connection: close\r\n\r\n`).all();
      expect(Object.keys(dispatch.calls[0]!.context.headers as object)).to.have.length(3_001);
    });
  });

  describe("responses", () => {
    it("to HEAD have the head alone, whatever the worker sends", async () => {
      const { dispatch, port } = await testFrontend();
      dispatch.answerer = (call) => call.answer(200, { "X-A": "1" }, "body");
      const connection = new RawConnection(port);
      connection.write("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nHEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
      const text = await connection.all();
      expect(text).not.to.contain("body").and.not.to.contain("hono");
      expect(text.match(/HTTP\/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 4\r\n/g)).to.have.length(2);
    });

    it("to HEAD that would stream give the call up", async () => {
      const { dispatch, port } = await testFrontend();
      const response = send(port, { method: "HEAD" });
      const call = await dispatch.next();
      call.piece({ context: call.head(200, { "X-A": "1" }), body: Buffer.from("a"), more: true });
      expect(call.cancelled).to.equal(true);
      expect((await response).headers).to.include({ "x-a": "1" });
    });

    for (const status of [204, 304])
      it(`of ${status} have no body and no length`, async () => {
        const { dispatch, port } = await testFrontend();
        dispatch.answerer = (call) => call.answer(status, {}, status === 204 ? "ignored" : "");
        const connection = new RawConnection(port);
        const text = await connection.write("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").all();
        expect(text)
          .to.match(new RegExp(`^HTTP/1.1 ${status} `))
          .and.to.match(/\r\n\r\n$/);
        expect(text.toLowerCase()).not.to.contain("content-length").and.not.to.contain("transfer-encoding");
      });

    it("without context are 200; their headers cannot be split", async () => {
      const { dispatch, port, lines } = await testFrontend();
      dispatch.answerer = (call) => call.piece({ body: Buffer.from("bare"), codec: Codec.UNSPECIFIED });
      expect(await send(port)).to.deep.include({ status: 200, body: "bare" });
      dispatch.answerer = (call) =>
        call.answer(200, { "X-A": ["1\r\nX-Evil: 1"], "X\nEvil": ["1"], "X-Ok": ["1"] }, "");
      const response = await send(port);
      expect(response.headers).to.include({ "x-ok": "1" }).and.not.to.have.property("x-evil");
      expect(lines.some(({ fields }) => fields.event === "http.header_dropped")).to.equal(true);
    });

    it("in pieces are flushed one by one; repeated heads do not matter", async () => {
      const { dispatch, port } = await testFrontend();
      const connection = new RawConnection(port);
      connection.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      const call = await dispatch.next();
      const context = call.head(202, { "X-A": "1" });
      call.piece({ context, more: true });
      expect(await connection.until("\r\n\r\n")).to.match(
        /^HTTP\/1.1 202 Accepted\r\nX-A: 1\r\n[\s\S]*Transfer-Encoding: chunked/,
      );
      call.piece({ context, body: Buffer.from("one"), more: true });
      await connection.until("\r\n3\r\none\r\n");
      call.piece({ body: Buffer.from("two"), more: true });
      await connection.until("3\r\ntwo\r\n");
      call.piece({});
      await connection.until("0\r\n\r\n");
      // The connection goes on.
      connection.write("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
      (await dispatch.next()).answer(200, {}, "next");
      await connection.until("next");
      connection.socket.destroy();
    });

    it("in pieces keep the length that the worker announced", async () => {
      const { dispatch, port } = await testFrontend();
      dispatch.answerer = (call) => {
        call.piece({ context: call.head(200, { "Content-Length": "6" }), body: Buffer.from("abc"), more: true });
        call.piece({ body: Buffer.from("def") });
      };
      const { headers, body } = await send(port);
      expect(headers).to.include({ "content-length": "6" }).and.not.to.have.property("transfer-encoding");
      expect(body).to.equal("abcdef");
    });

    it("longer than announced are cut, shorter ones are broken off", async () => {
      const { dispatch, port } = await testFrontend();
      dispatch.answerer = (call) => {
        call.piece({ context: call.head(200, { "Content-Length": "4" }), body: Buffer.from("abc"), more: true });
        call.piece({ body: Buffer.from("def"), more: true });
      };
      expect((await send(port)).body).to.equal("abcd");
      expect(dispatch.calls[0]!.cancelled).to.equal(true);
      dispatch.answerer = (call) => {
        call.piece({ context: call.head(200, { "Content-Length": "4" }), body: Buffer.from("abc"), more: true });
        call.piece({});
      };
      const text = await new RawConnection(port).write("GET / HTTP/1.1\r\nHost: h\r\n\r\n").all();
      expect(text).to.match(/\r\n\r\nabc$/);
    });

    for (const whole of [true, false])
      it(`${whole ? "in one piece" : "in pieces"} may have trailers`, async () => {
        const { dispatch, port } = await testFrontend();
        dispatch.answerer = (call) => {
          const context = call.head(200, {
            Trailer: "X-Sum, X-Other",
            "X-Sum": "abc",
            "X-Other": "def",
            "Content-Length": "4",
          });
          call.piece({ context, body: Buffer.from("body"), more: !whole });
          if (!whole) call.piece({});
        };
        const { headers, trailers, body } = await send(port);
        expect(headers).to.include({ trailer: "X-Sum, X-Other" }).and.not.to.have.property("x-sum");
        expect(trailers).to.deep.equal({ "x-sum": "abc", "x-other": "def" });
        expect(body).to.equal("body");
      });

    it("may be announced by informational ones; 101 is ignored", async () => {
      const { dispatch, port, lines } = await testFrontend();
      const connection = new RawConnection(port);
      connection.write("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
      const call = await dispatch.next();
      call.piece({
        context: call.head(103, { Link: ["</a.css>; rel=preload", "</b.js>; rel=preload"] }),
        body: Buffer.from("no"),
        more: true,
      });
      expect(await connection.until("\r\n\r\n")).to.equal(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n\r\n",
      );
      call.piece({ context: call.head(101, { Upgrade: "x" }), more: true });
      call.piece({ context: call.head(200, { "X-A": "1" }), body: Buffer.from("final") });
      const text = await connection.all();
      expect(text.slice(text.indexOf("\r\n\r\n") + 4)).to.match(
        /^HTTP\/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n[\s\S]*\r\n\r\nfinal$/,
      );
      expect(text).not.to.contain("101");
      expect(lines.some(({ fields }) => fields.event === "http.upgrade_ignored")).to.equal(true);
    });

    it("of HTTP/1.0 have no informational ones, no chunks and no trailers", async () => {
      const { dispatch, port } = await testFrontend();
      dispatch.answerer = (call) => {
        call.piece({ context: call.head(103, { Link: "</a>" }), more: true });
        call.piece({ context: call.head(200, { Trailer: "X-Sum", "X-Sum": "1" }), body: Buffer.from("a"), more: true });
        call.piece({ body: Buffer.from("b") });
      };
      const text = await new RawConnection(port).write("GET / HTTP/1.0\r\nHost: h\r\n\r\n").all();
      expect(text)
        .to.match(/^HTTP\/1.1 200 OK\r\n/)
        .and.to.match(/\r\n\r\nab$/);
      expect(text).not.to.match(/chunked|Link|Trailer/i);
    });

    it("with Connection: close of the worker end the connection", async () => {
      const { dispatch, port } = await testFrontend();
      dispatch.answerer = (call) =>
        call.answer(200, { Connection: "close", "Transfer-Encoding": "chunked", "Keep-Alive": "9" }, "bye");
      const text = await new RawConnection(port).write("GET / HTTP/1.1\r\nHost: h\r\n\r\n").all();
      expect(text)
        .to.contain("Connection: close")
        .and.not.to.match(/chunked|keep-alive/i);
    });

    it("grant credit only as the client reads, and go on when it does", async () => {
      const { dispatch, port } = await testFrontend();
      const connection = new RawConnection(port);
      connection.socket.pause();
      connection.write("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
      const call = await dispatch.next();
      const piece = Buffer.alloc(64 * 1024, "x");
      let sentBytes = 0;
      const send = () => {
        call.piece({ body: piece, more: true });
        sentBytes += piece.length;
      };
      // As the core does: no more than the window and what was granted on top.
      const allowed = () => call.request.windowBytes + call.grantedBytes - sentBytes;
      let idleTurns = 0;
      while (idleTurns < 50) {
        if (allowed() > 0) {
          send();
          idleTurns = 0;
        } else {
          await new Promise((resolve) => setImmediate(resolve));
          idleTurns++;
        }
      }
      // Kernel buffers took some; what the frontend holds is bounded by the window.
      const stalledBytes = sentBytes;
      expect(sentBytes - call.grantedBytes)
        .to.be.at.least(call.request.windowBytes)
        .and.at.most(call.request.windowBytes + piece.length);
      connection.socket.resume();
      while (sentBytes < stalledBytes + 4 * 1024 * 1024) {
        if (allowed() <= 0) await call.until(() => allowed() > 0);
        send();
      }
      call.piece({});
      const text = await connection.all();
      expect(text.length).to.be.greaterThan(sentBytes);
      expect(text.endsWith("0\r\n\r\n")).to.equal(true);
    }).timeout(10_000);

    it("in many small pieces grant in portions", async () => {
      const { dispatch, port } = await testFrontend();
      const response = send(port);
      const call = await dispatch.next();
      let grants = 0;
      const { grant } = call;
      call.grant = (bytes) => {
        grants++;
        grant.call(call, bytes);
      };
      for (let index = 0; index < 1_000; index++) {
        call.piece({ body: Buffer.alloc(100), more: true });
        if (index % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
      }
      call.piece({});
      expect((await response).body).to.have.length(100_000);
      expect(grants).to.be.within(1, 2);
    });
  });

  describe("failures", () => {
    const failures: [error: RrError, status: number][] = [
      [new RrError("QUEUE_FULL", "the queue of http has 10 calls"), 503],
      [new RrError("EXEC_TIMEOUT", "took longer than 1 s"), 504],
      [new RrError("WORKER_EXITED", "exited"), 502],
      [new RrError("WORKER_ERROR", "PHP said so"), 555],
      [new RrError("INTERNAL", "bug"), 555],
      [new RrError("CRASH_LOOP", "no worker"), 503],
      [new RrError("CANCELLED", "given up"), 503],
    ];
    for (const [error, status] of failures)
      it(`${error.reason} is ${status}, says nothing, and is logged`, async () => {
        const { dispatch, port, lines, frontend } = await testFrontend({ internalErrorCode: 555 });
        dispatch.answerer = (call) => call.fail(error);
        const response = await send(port);
        expect(response).to.deep.include({ status, body: "" });
        const line = lines.find(({ fields }) => fields.event === "http.request_failed");
        expect(line).to.deep.include({ level: "warn", message: error.message });
        expect(line!.fields).to.include({ reason: error.reason, status });
        expect(frontend.stats().failures).to.deep.equal({ [error.reason]: 1 });
      });

    it("of the queue say when to come back and that there is no worker", async () => {
      const { dispatch, port } = await testFrontend();
      dispatch.answerer = (call) => call.fail(new RrError("QUEUE_WAIT_EXCEEDED", "late", { retryAfterMs: 1_200 }));
      expect((await send(port)).headers).to.include({ "retry-after": "2", "no-workers": "true" });
      dispatch.answerer = (call) => call.fail(new RrError("DRAINING", "ends"));
      expect((await send(port)).headers)
        .to.include({ "retry-after": "1" })
        .and.not.to.have.property("no-workers");
    });

    it("are explained in debug", async () => {
      const { dispatch, port } = await testFrontend({ debug: true });
      dispatch.answerer = (call) => call.fail(new RrError("WORKER_ERROR", "<b>boom</b>"));
      const { headers, body } = await send(port);
      expect(body).to.equal("WORKER_ERROR: <b>boom</b>\n");
      expect(headers["content-type"]).to.equal("text/plain; charset=utf-8");
      const head = await send(port, { method: "HEAD" });
      expect(head).to.deep.include({ status: 500, body: "" });
    });

    for (const debug of [true, false])
      it(`are problem documents for who accepts them, ${debug ? "with" : "without"} details`, async () => {
        const { dispatch, port } = await testFrontend({ debug });
        dispatch.answerer = (call) => call.fail(new RrError("WORKER_ERROR", "boom"));
        const { headers, body } = await send(port, {
          headers: { accept: "application/problem+json", "x-request-id": "r1" },
        });
        expect(headers["content-type"]).to.equal("application/problem+json");
        const details = debug ? { detail: "boom", reason: "WORKER_ERROR" } : {};
        expect(JSON.parse(body)).to.deep.equal({
          type: "about:blank",
          title: "Internal Server Error",
          status: 500,
          request_id: "r1",
          ...details,
        });
      });

    it("of the worker's status name it", async () => {
      const { dispatch, port } = await testFrontend();
      dispatch.answerer = (call) => call.answer(42, {}, "x");
      expect(await send(port)).to.deep.include({ status: 500, body: "unknown status code from worker: 42\n" });
    });

    it("of the worker's head end the call and say nothing", async () => {
      const { dispatch, port } = await testFrontend();
      const response = send(port);
      const call = await dispatch.next();
      call.piece({ context: Buffer.from("garbage"), body: Buffer.from("x"), more: true });
      expect(await response).to.deep.include({ status: 502, body: "" });
      expect(call.cancelled).to.equal(true);
    });

    it("in the middle of a response break the connection off", async () => {
      const { dispatch, port, frontend } = await testFrontend();
      const connection = new RawConnection(port);
      connection.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      const call = await dispatch.next();
      call.piece({ context: call.head(200), body: Buffer.from("part"), more: true });
      await connection.until("part");
      call.fail(new RrError("WORKER_EXITED", "killed"));
      const text = await connection.all();
      expect(text).to.match(/4\r\npart\r\n$/);
      expect(frontend.stats().failures).to.deep.equal({ WORKER_EXITED: 1 });
    });
  });

  it("breaks off a response that would otherwise look complete", async () => {
    const { dispatch, port } = await testFrontend();
    const connection = new RawConnection(port).write("GET / HTTP/1.0\r\nHost: h\r\n\r\n");
    const call = await dispatch.next();
    call.piece({ context: call.head(200), body: Buffer.from("part"), more: true });
    await connection.until("part");
    const failed = once(connection.socket, "error");
    call.fail(new RrError("WORKER_EXITED", "killed"));
    expect((await failed)[0]).to.have.property("code", "ECONNRESET");
  });

  describe("clients that leave", () => {
    it("while they wait cancel the call", async () => {
      const { dispatch, port, frontend, lines } = await testFrontend({ accessLogs: true });
      const connection = new RawConnection(port).write("GET /gone HTTP/1.1\r\nHost: h\r\n\r\n");
      const call = await dispatch.next();
      connection.socket.destroy();
      await call.until(({ cancelled }) => cancelled);
      expect(frontend.stats()).to.include({ openRequests: 0, disconnects: 1 });
      expect(lines.find(({ message }) => message === "http access log")!.fields).to.include({
        status: 499,
        URI: "/gone",
      });
    });

    it("in the middle of a response cancel the call", async () => {
      const { dispatch, port } = await testFrontend();
      const connection = new RawConnection(port).write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      const call = await dispatch.next();
      call.piece({ context: call.head(200), body: Buffer.from("part"), more: true });
      await connection.until("part");
      connection.socket.destroy();
      await call.until(({ cancelled }) => cancelled);
    });

    it("in the middle of a body open no call, or cancel the one that was opened", async () => {
      const { dispatch, port, frontend } = await testFrontend();
      const small = new RawConnection(port).write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
      const large = new RawConnection(port).write(
        `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n${"x".repeat(100_000)}`,
      );
      const call = await dispatch.next();
      small.socket.destroy();
      large.socket.destroy();
      await call.until(({ cancelled }) => cancelled);
      while (frontend.stats().openRequests > 0) await new Promise((resolve) => setImmediate(resolve));
      expect(dispatch.calls).to.have.length(1);
      expect(frontend.stats().disconnects).to.equal(2);
    });
  });

  describe("middleware", () => {
    it("runs in configured order, first outermost, around the worker; unknown names are skipped with a warning", async () => {
      const order: string[] = [];
      const named =
        (name: string): StepFactory =>
        () =>
        (scope) => {
          order.push(name);
          scope.attributes = { ...scope.attributes, [name]: ["yes"] };
          return undefined;
        };
      const { dispatch, port, lines } = await testFrontend(
        { middleware: ["outer", "missing", "inner"] },
        { inner: named("inner"), outer: named("outer") },
      );
      dispatch.answerer = (call) => call.answer(200, { "X-A": "1" }, "through");
      for (const method of ["GET", "POST"]) {
        const response = await send(port, { method, body: method === "POST" ? "x" : "" });
        expect(response.body).to.equal("through");
        expect(response.headers).not.to.have.property("x-hono-already-sent");
      }
      const head = await send(port, { method: "HEAD" });
      expect(head.headers).to.include({ "x-a": "1" }).and.not.to.have.property("x-hono-already-sent");
      expect(order.slice(0, 2)).to.deep.equal(["outer", "inner"]);
      expect(dispatch.calls[0]!.context.attributes).to.deep.equal({ outer: ["yes"], inner: ["yes"] });
      const warning = lines.find(({ fields }) => fields.event === "http.middleware_skipped");
      expect(warning!.fields.middleware).to.equal("missing");
      expect(warning!.message).to.contain("outer");
    });

    it("may answer itself or throw", async () => {
      const { dispatch, port, lines } = await testFrontend(
        { middleware: ["gate"] },
        {
          gate: () => (scope) => {
            if (scope.incoming.url === "/boom") throw new Error("gate broke");
            if (scope.incoming.url === "/late") return Promise.reject(new Error("gate broke late"));
            if (scope.incoming.url !== "/closed") return undefined;
            return (sink) => {
              sink.writeHead(403, ["Content-Length", "6"]);
              sink.end(Buffer.from("closed"));
            };
          },
        },
      );
      expect(await send(port, { path: "/closed" })).to.deep.include({ status: 403, body: "closed" });
      expect(await send(port, { path: "/boom" })).to.deep.include({ status: 500, body: "" });
      expect(await send(port, { path: "/late" })).to.deep.include({ status: 500, body: "" });
      const errors = lines.filter(({ level }) => level === "error").map(({ message }) => message);
      expect(errors).to.deep.equal(["gate broke", "gate broke late"]);
      expect(dispatch.calls).to.have.length(0);
    });
  });

  describe("listening", () => {
    it("fails clearly when the port is taken", async () => {
      const { port } = await testFrontend();
      const settings = { options: httpOptions(), dispatch: new MemoryDispatch(), log: memoryLog().log };
      const error = await rejectionOf(startFrontend({ ...settings, listen: { host: "127.0.0.1", port } }));
      expect(error.reason).to.equal("FAILED_PRECONDITION");
      expect(error.message).to.contain(`127.0.0.1:${port}`).and.to.contain("http.address");
    });

    it("works on a socket that came bound", async () => {
      const bound = createServer();
      bound.listen(0, "127.0.0.1");
      await once(bound, "listening");
      const dispatch = new MemoryDispatch();
      dispatch.answerer = (call) => call.answer(200, {}, "inherited");
      const frontend = await startFrontend({
        options: httpOptions(),
        dispatch,
        log: memoryLog().log,
        listen: { handle: bound },
      });
      expect((await send(frontend.address.port)).body).to.equal("inherited");
      await frontend.close(1_000);
      bound.close();
    });

    it("says so when the descriptor is none to listen on", async () => {
      const settings = { options: httpOptions(), dispatch: new MemoryDispatch(), log: memoryLog().log };
      const error = await rejectionOf(startFrontend({ ...settings, listen: { fd: 987_654 } }));
      expect(error.message).to.contain("descriptor 987654");
    });

    it("refuses connections over the limit", async () => {
      // Its share of them.
      const { port, frontend, dispatch } = await testFrontend({ maxConnections: 2, frontends: 2 });
      const first = new RawConnection(port).write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      await dispatch.next();
      expect(await new RawConnection(port).write("GET / HTTP/1.1\r\nHost: h\r\n\r\n").all()).to.equal("");
      expect(frontend.stats()).to.include({ openConnections: 1, refusedConnections: 1 });
      first.socket.destroy();
    });
  });

  describe("closing", () => {
    it("lets the running request finish and closes the rest", async () => {
      const { port, frontend, dispatch } = await testFrontend();
      dispatch.answerer = (call) => call.answer(200, {}, "idle");
      const idle = new RawConnection(port).write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      await idle.until("idle");
      dispatch.answerer = undefined;
      const busy = new RawConnection(port).write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      const call = await dispatch.next();
      const unused = new RawConnection(port);
      await once(unused.socket, "connect");
      const closed = frontend.close(5_000);
      await Promise.all([idle.closed, unused.closed]);
      const late = new RawConnection(port);
      await late.closed;
      call.answer(200, {}, "last words");
      expect(await busy.all()).to.match(/Connection: close\r\n[\s\S]*last words$/);
      await closed;
    });

    it("closes connections whose response had started before", async () => {
      const { port, frontend, dispatch } = await testFrontend();
      const connection = new RawConnection(port).write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      const call = await dispatch.next();
      call.piece({ context: call.head(200), body: Buffer.from("a"), more: true });
      await connection.until("a\r\n");
      const closed = frontend.close(5_000);
      call.piece({ body: Buffer.from("b") });
      await closed;
      expect(await connection.all()).to.match(/0\r\n\r\n$/);
    });

    it("cuts off what does not finish in time", async () => {
      const { port, frontend, dispatch } = await testFrontend();
      const connection = new RawConnection(port).write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      const call = await dispatch.next();
      await frontend.close(30);
      await call.until(({ cancelled }) => cancelled);
      expect(await connection.all()).to.equal("");
    });
  });
});
