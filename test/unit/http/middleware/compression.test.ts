import { randomBytes } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import zlib from "node:zlib";
import { expect } from "chai";
import type { HttpOptions } from "../../../../src/config/options.ts";
import { compressionFilter, isCompressibleType } from "../../../../src/http/middleware/compression.ts";
import type { RequestScope } from "../../../../src/http/request-scope.ts";
import { HeadDraft } from "../../../../src/http/response-filter.ts";
import { markReusable } from "../../../../src/http/reusable-body.ts";
import { within } from "../../../support/eventually.ts";
import { closeFrontends, RawConnection, send, testFrontend } from "../support.ts";

const TEXT = "All work and no play makes Jack a dull boy. ".repeat(100);
const hasZstd = "zstdCompress" in zlib;

async function withGzip(
  head: Record<string, unknown> = {},
  body: string | Uint8Array = TEXT,
  overrides: Partial<HttpOptions> = {},
) {
  const started = await testFrontend({ middleware: ["gzip"], ...overrides });
  started.dispatch.answerer = (call) => call.answer(200, { "Content-Type": "text/html; charset=utf-8", ...head }, body);
  return started;
}

const accepting = (encoding: string, method = "GET") => ({ method, headers: { "accept-encoding": encoding } });

describe("gzip middleware", () => {
  afterEach(closeFrontends);

  it("compresses with what the client takes", async () => {
    const { port } = await withGzip({ ETag: '"abc"', "Accept-Ranges": "bytes" });
    const gzip = await send(port, accepting("gzip, deflate"));
    expect(gzip.headers).to.include({ "content-encoding": "gzip", vary: "Accept-Encoding", etag: 'W/"abc"' });
    expect(gzip.headers["content-length"]).to.equal(String(gzip.bytes.length));
    expect(gzip.headers).not.to.have.property("accept-ranges");
    expect(zlib.gunzipSync(gzip.bytes).toString()).to.equal(TEXT);
    const brotli = await send(port, accepting("gzip, br"));
    expect(brotli.headers).to.include({ "content-encoding": "br" });
    expect(zlib.brotliDecompressSync(brotli.bytes).toString()).to.equal(TEXT);
    const none = await send(port, accepting("identity"));
    expect(none.headers).to.include({ vary: "Accept-Encoding", etag: '"abc"', "accept-ranges": "bytes" });
    expect(none.headers).not.to.have.property("content-encoding");
    expect(none.body).to.equal(TEXT);
    expect((await send(port)).headers).not.to.have.property("content-encoding");
  });

  it("sends zstd where Node has it", async () => {
    const { port } = await withGzip();
    const { headers } = await send(port, accepting("zstd, gzip"));
    expect(headers["content-encoding"]).to.equal(hasZstd ? "zstd" : "gzip");
  });

  for (const [what, header, expected] of [
    ["weights", "br;q=0.5, gzip;q=0.8", "gzip"],
    ["a weight of zero", "br;q=0, gzip", "gzip"],
    ["a wish for no encoding", "identity;q=1, gzip;q=0.5", undefined],
    ["a star", "*;q=0.3", hasZstd ? "zstd" : "br"],
    ["a star without brotli", "*, br;q=0, zstd;q=0", "gzip"],
    ["the old name", "x-gzip", "gzip"],
    ["nonsense", "gzip;q=high, ,;", undefined],
  ] as const)
    it(`goes by ${what}: ${header}`, async () => {
      const { port } = await withGzip();
      expect((await send(port, accepting(header))).headers["content-encoding"]).to.equal(expected);
    });

  it("prefers what is configured first among equals, and offers nothing else", async () => {
    const { port } = await withGzip({}, TEXT, { compression: { minBytes: 10, encodings: ["gzip"] } });
    expect((await send(port, accepting("br, gzip"))).headers["content-encoding"]).to.equal("gzip");
    expect((await send(port, accepting("br"))).headers).not.to.have.property("content-encoding");
  });

  for (const [what, head, body] of [
    ["a short body", {}, "short"],
    ["an image", { "Content-Type": "image/png" }, TEXT],
    ["a body of no known type", { "Content-Type": [] }, TEXT],
    ["what is encoded already", { "Content-Encoding": "br" }, TEXT],
    ["what says that it is not encoded", { "Content-Encoding": "identity" }, TEXT],
    ["what must not be transformed", { "Cache-Control": "public, No-Transform" }, TEXT],
  ] as const)
    it(`leaves ${what} alone`, async () => {
      const { port } = await withGzip(head as Record<string, unknown>, body);
      const { headers, body: received } = await send(port, accepting("gzip"));
      expect(received).to.equal(body);
      expect(headers["content-encoding"]).not.to.equal("gzip");
      expect(headers["content-length"]).to.equal(String(body.length));
    });

  it("leaves parts of a body alone", async () => {
    const { dispatch, port } = await withGzip();
    dispatch.answerer = (call) =>
      call.answer(206, { "Content-Type": "text/plain", "Content-Range": "bytes 0-4399/9999" }, TEXT);
    expect((await send(port, accepting("gzip"))).body).to.equal(TEXT);
  });

  it("keeps bodies that have none without one", async () => {
    const { dispatch, port } = await withGzip();
    for (const status of [204, 304]) {
      dispatch.answerer = (call) => call.answer(status, { "Content-Type": "text/html", ETag: '"a"' });
      const response = await send(port, accepting("gzip"));
      expect(response).to.deep.include({ status, body: "" });
      expect(response.headers).not.to.have.property("content-encoding");
      expect(response.headers.vary).to.equal(status === 304 ? "Accept-Encoding" : undefined);
    }
  });

  it("tells HEAD what GET would get", async () => {
    const { port } = await withGzip();
    const { headers, bytes } = await send(port, accepting("gzip", "HEAD"));
    expect(headers).to.include({ "content-encoding": "gzip", vary: "Accept-Encoding" });
    expect(headers).not.to.have.property("content-length");
    expect(bytes).to.have.length(0);
  });

  for (const encoding of ["gzip", "br"])
    it(`lets each piece of a stream out at once: ${encoding}`, async () => {
      const { dispatch, port } = await testFrontend({ middleware: ["gzip"] });
      const response = await new Promise<IncomingMessage>((resolve) => {
        httpRequest({ port, host: "127.0.0.1", headers: { "accept-encoding": encoding }, agent: false }, resolve).end();
        void dispatch.next().then((call) => {
          call.piece({ context: call.head(200, { "Content-Type": "text/event-stream" }), more: true });
        });
      });
      expect(response.headers).to.include({ "content-encoding": encoding, "transfer-encoding": "chunked" });
      const decoder = encoding === "gzip" ? zlib.createGunzip() : zlib.createBrotliDecompress();
      const pieces = response.pipe(decoder).setEncoding("utf8")[Symbol.asyncIterator]();
      const [call] = dispatch.calls;
      for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
        call!.piece({ body: Buffer.from(event), more: true });
        expect((await pieces.next()).value).to.equal(event);
      }
      call!.piece({});
      expect((await pieces.next()).done).to.equal(true);
    });

  it("waits for slow clients, goes on with them, and gives up for those that leave", async () => {
    const { dispatch, port } = await testFrontend({ middleware: ["gzip"] });
    const connection = new RawConnection(port);
    connection.socket.pause();
    connection.write("GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n");
    const call = await dispatch.next();
    call.piece({ context: call.head(200, { "Content-Type": "text/plain" }), more: true });
    // Random bytes: as many go out as come in.
    const noise = randomBytes(256 * 1024);
    let sentBytes = 0;
    const allowed = () => call.request.windowBytes + call.grantedBytes - sentBytes > 0;
    const sendUntil = async (bytes: number, limitMs: number) => {
      while (sentBytes < bytes) {
        if (!allowed()) await within(limitMs, "more is asked for", call.until(allowed));
        call.piece({ body: noise, more: true });
        sentBytes += noise.length;
      }
    };
    const stalled = await sendUntil(64 * 1024 * 1024, 500).then(
      () => false,
      () => true,
    );
    expect(stalled).to.equal(true);
    connection.socket.resume();
    await sendUntil(sentBytes + 4 * 1024 * 1024, 5_000);
    connection.socket.destroy();
    await call.until(({ cancelled }) => cancelled);
  });

  it("breaks a compressed response off when PHP does", async () => {
    const { dispatch, port } = await testFrontend({ middleware: ["gzip"] });
    dispatch.answerer = (call) => {
      const context = call.head(200, { "Content-Type": "text/plain", "Content-Length": "100000" });
      call.piece({ context, body: Buffer.from(TEXT), more: true });
      setImmediate(() => call.piece({}));
    };
    let failure: unknown;
    await send(port, accepting("gzip")).catch((error) => {
      failure = error;
    });
    expect(failure).to.have.property("code", "ECONNRESET");
  });

  it("compresses a body once that is sent many times", async () => {
    const filter = compressionFilter({ minBytes: 10, encodings: ["gzip"] });
    const compress = (body: Uint8Array) =>
      new Promise<Uint8Array>((resolve, reject) => {
        const head = new HeadDraft(200, ["Content-Type", "text/plain"]);
        const incoming = { headers: { "accept-encoding": "gzip" } };
        const change = filter(head, { incoming } as RequestScope);
        if (change?.kind !== "encode") throw new Error("the filter does not compress");
        change.encoder.whole(body, (error, encoded) => (error ? reject(error) : resolve(encoded)));
      });
    const body = Buffer.from(TEXT);
    expect(await compress(body)).not.to.equal(await compress(body));
    markReusable(body);
    expect(await compress(body)).to.equal(await compress(body));
    expect(zlib.gunzipSync(await compress(body)).toString()).to.equal(TEXT);
  });

  it("knows types that are compressed by nature", () => {
    for (const type of [
      "text/html",
      "application/json",
      "image/svg+xml; charset=utf-8",
      "font/ttf",
      "application/wasm",
    ])
      expect(isCompressibleType(type), type).to.equal(true);
    for (const type of ["image/jpeg", "video/mp4", "font/woff2", "application/zip", "application/octet-stream", ""])
      expect(isCompressibleType(type), type).to.equal(false);
  });
});
