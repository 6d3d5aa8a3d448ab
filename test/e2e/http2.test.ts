import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import { expect } from "chai";
import { type Certificate, makeCertificate, noOpenssl } from "../support/certificates.ts";
import { eventually, within } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { openSession, request } from "../support/http2-client.ts";
import {
  frame,
  Http2Wire,
  headers,
  PREFACE,
  requestHeaders,
  Setting,
  settings,
  Type,
  windowUpdate,
} from "../support/http2-wire.ts";
import { needsPhp, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const LIMIT_MS = 8_000;
const MEBIBYTE = 1 << 20;
const CSS = "body { color: black }\n".repeat(100);
/** Node has it from 22.15 on. */
const { zstdDecompressSync: zstdDecompress } = zlib as { zstdDecompressSync?: (bytes: Buffer) => Buffer };
const OWN = `export default async (c, next) => {
  if (c.req.path === "/denied") return c.text("denied", 403);
  c.set("attributes", { user: "zoe", protocol: c.env.incoming.httpVersion });
  if (c.req.path === "/reads") c.set("requestHeaders", { "X-Read": String((await c.req.text()).length) });
  await next();
  if (c.req.path === "/announces") c.header("Trailer", "X-Never");
  c.header("X-Own", c.res.headers.get("x-app") ?? "none");
};
`;

/** All that HTTP does, in the server as users run it, over both ways in which HTTP/2 comes. */
describe("HTTP/2 with PHP", function () {
  this.timeout(60_000);
  let directory: string;
  let certificate: Certificate;
  const servers: Record<"acts" | "middleware" | "uploads", ServerProcess> = {} as never;

  before(async function () {
    needsPhp(this);
    const reason = noOpenssl();
    if (reason !== undefined) return skip(this, reason);
    directory = mkdtempSync(join(tmpdir(), "rr-http2-"));
    certificate = makeCertificate(directory, "server");
    mkdirSync(join(directory, "public"));
    writeFileSync(join(directory, "public/style.css"), CSS);
    writeFileSync(join(directory, "report.txt"), "0123456789");
    writeFileSync(join(directory, "own.mjs"), OWN);
    const ssl = { address: "127.0.0.1:0", key: certificate.keyFile, cert: certificate.certFile };
    const http = { ssl, http2: { h2c: true } };
    const own = join(directory, "own.mjs");
    const chain = {
      middleware: ["gzip", "sendfile", "static", own],
      gzip: { min_size: 10 },
      sendfile: { root: directory },
    };
    [servers.acts, servers.middleware, servers.uploads] = await Promise.all([
      ServerProcess.start({
        http: { ...http, middleware: ["gzip"], gzip: { min_size: 10 } },
        pool: { num_workers: 3 },
      }),
      ServerProcess.start({
        script: "middleware.php",
        http: { ...http, ...chain, static: { dir: join(directory, "public") } },
      }),
      ServerProcess.start({
        script: "uploads.php",
        http: { ...http, uploads: { dir: directory }, max_request_size: 4 },
      }),
    ]);
  });

  after(async () => {
    await stopServers();
    if (directory) rmSync(directory, { recursive: true });
  });

  const urlOf = (server: ServerProcess, scheme: string) =>
    new RegExp(`^ {2}http +(${scheme}://\\S+)`, "m").exec(server.output.join("\n"))![1]!;

  for (const [name, scheme] of [
    ["over TLS", "https"],
    ["without TLS", "http"],
  ] as const)
    describe(name, () => {
      const sessions: ClientHttp2Session[] = [];
      let files = 0;

      const open = async (which: keyof typeof servers, options = {}) => {
        const session = await openSession(urlOf(servers[which], scheme), { ca: certificate.cert, ...options });
        sessions.push(session);
        return session;
      };
      const newFile = () => join(directory, `${scheme}-go-${files++}`);
      const get = async (which: keyof typeof servers, path: string, more = {}) =>
        request(await open(which), { ":path": path, ...more });

      afterEach(() => {
        for (const session of sessions.splice(0)) session.destroy();
      });

      it("sends early hints before there is a response", async () => {
        const file = newFile();
        const session = await open("acts");
        const stream = session.request({ ":path": `/early-hints?${file}` });
        const [hints] = await within(LIMIT_MS, "the hints came", eventOf(stream, "headers"));
        expect(hints).to.include({ ":status": 103, link: "</style.css>; rel=preload" });
        writeFileSync(file, "");
        const [head] = await within(LIMIT_MS, "the head came", eventOf(stream, "response"));
        expect(head).to.include({ ":status": 200 });
        expect(await textOf(stream)).to.equal("the page");
      });

      it("sends trailers after the body", async () => {
        const { headers: head, body, trailers } = await get("acts", "/trailers");
        expect(body).to.equal("body");
        expect(head).to.include({ trailer: "X-Checksum" });
        expect(trailers).to.include({ "x-checksum": "841a2d689ad86bd1611447453c22c6fc" });
      });

      it("ends a response whose trailers were announced, and are not there", async () => {
        const { status, body, trailers } = await get("middleware", "/announces");
        expect([status, Object.keys(trailers)]).to.deep.equal([200, []]);
        expect(JSON.parse(body).padding).to.have.length(6_000);
      });

      it("sends no body for HEAD, 204 and 304", async () => {
        const head = await get("acts", "/status?200", { ":method": "HEAD" });
        expect([head.status, head.body, head.headers["content-length"]]).to.deep.equal([200, "", "6"]);
        for (const status of [204, 304]) {
          const answer = await get("acts", `/status?${status}`);
          expect([answer.status, answer.body]).to.deep.equal([status, ""]);
          expect(answer.headers["content-length"] ?? "0").to.equal("0");
        }
      });

      it("takes bodies of any length, announced or not", async () => {
        const session = await open("acts");
        for (const length of [0, 1, 16_384, 65_535, 65_536, 900_000]) {
          const body = Buffer.alloc(length, "x");
          const { body: text } = await request(session, { ":path": "/body", ":method": "POST" }, body);
          expect(text).to.match(new RegExp(`^${length} `));
          const announced = { ":path": "/body", ":method": "PUT", "content-length": String(length) };
          expect((await request(session, announced, body)).body).to.equal(text);
        }
      });

      it("answers Expect: 100-continue before the body", async () => {
        const session = await open("acts");
        const stream = session.request({ ":path": "/body", ":method": "POST", expect: "100-continue" });
        await within(LIMIT_MS, "100 came", eventOf(stream, "continue"));
        stream.end("the body");
        expect(await textOf(stream)).to.match(/^8 /);
      });

      it("refuses a body that is too large, and goes on with the connection", async () => {
        const session = await open("uploads");
        const announced = { ":path": "/", ":method": "POST", "content-length": String(5 * MEBIBYTE) };
        const stream = session.request(announced);
        const [head] = await within(LIMIT_MS, "the head came", eventOf(stream, "response"));
        expect(head).to.include({ ":status": 413 });
        stream.close();
        const counted = session.request({ ":path": "/", ":method": "POST" });
        counted.on("error", () => {});
        counted.end(Buffer.alloc(5 * MEBIBYTE));
        const [other] = await within(LIMIT_MS, "the other head came", eventOf(counted, "response"));
        expect(other).to.include({ ":status": 413 });
        expect((await request(session, { ":path": "/" })).status).to.equal(200);
      });

      it("takes uploads", async () => {
        const content = "0123456789".repeat(50_000);
        const part = (head: string, body: string) =>
          `--b\r\nContent-Disposition: form-data; ${head}\r\n\r\n${body}\r\n`;
        const form = `${part('name="title"', "Zoë")}${part('name="file"; filename="a.txt"', content)}--b--\r\n`;
        const multipart = { "content-type": "multipart/form-data; boundary=b" };
        const session = await open("uploads");
        const answer = await request(session, { ":path": "/", ":method": "POST", ...multipart }, form);
        const { form: fields, uploads } = JSON.parse(answer.body);
        expect(fields).to.deep.equal({ title: "Zoë" });
        expect(uploads.file).to.include({ name: "a.txt", error: 0, size: 500_000 });
        expect(uploads.file.tmpName.size).to.equal(500_000);
        await eventually("the file was removed", () => !existsSync(uploads.file.tmpName.path));
      });

      it("runs a user's own middleware", async () => {
        const { headers: head, body } = await get("middleware", "/app");
        expect(head).to.include({ "x-own": "php" });
        expect(JSON.parse(body).attributes).to.deep.equal({ user: ["zoe"], protocol: ["2.0"] });
        expect(await get("middleware", "/denied")).to.include({ status: 403, body: "denied" });
        const session = await open("middleware");
        const read = await request(session, { ":path": "/reads", ":method": "POST" }, "x".repeat(100_000));
        const seen = JSON.parse(read.body);
        expect([seen.headers["X-Read"], seen.body.length]).to.deep.equal([["100000"], 100_000]);
      });

      const decoders = { gzip: zlib.gunzipSync, br: zlib.brotliDecompressSync, zstd: zstdDecompress };
      for (const [coding, decode] of Object.entries(decoders))
        it(`compresses with ${coding}`, async function () {
          if (decode === undefined) return skip(this, `this Node has no ${coding}`);
          const whole = await get("middleware", "/app", { "accept-encoding": coding });
          expect(whole.headers).to.include({
            "content-encoding": coding,
            "content-length": String(whole.bytes.length),
          });
          expect(JSON.parse(decode(whole.bytes).toString()).padding).to.have.length(6_000);
          const stream = await get("middleware", "/events", { "accept-encoding": coding });
          expect(stream.headers).to.include({ "content-encoding": coding });
          expect(decode(stream.bytes).toString()).to.equal("data: 1\n\ndata: 2\n\ndata: 3\n\n");
        });

      it("serves files, whole, in part, and not again", async () => {
        const whole = await get("middleware", "/style.css");
        expect(whole.body).to.equal(CSS);
        const { etag } = whole.headers as { etag?: string };
        const part = await get("middleware", "/style.css", { range: "bytes=5-9" });
        expect([part.status, part.body, part.headers["content-range"]]).to.deep.equal([
          206,
          CSS.slice(5, 10),
          `bytes 5-9/${CSS.length}`,
        ]);
        const beyond = await get("middleware", "/style.css", { range: "bytes=99999-" });
        expect(beyond.status).to.equal(416);
        const condition: Record<string, string> =
          etag === undefined
            ? { "if-modified-since": String(whole.headers["last-modified"]) }
            : { "if-none-match": etag };
        expect(await get("middleware", "/style.css", condition)).to.include({ status: 304, body: "" });
        const head = await get("middleware", "/style.css", { ":method": "HEAD" });
        expect([head.status, head.body, head.headers["content-length"]]).to.deep.equal([200, "", String(CSS.length)]);
      });

      it("sends the files that PHP names", async () => {
        const part = await get("middleware", "/file?report.txt", { range: "bytes=2-4" });
        expect(part).to.include({ status: 206, body: "234" });
        expect((await get("middleware", "/file?..%2F..%2Fetc%2Fpasswd")).status).to.equal(403);
      });

      it("sends server-sent events one by one, compressed or not", async () => {
        for (const coding of ["identity", "gzip"]) {
          const file = newFile();
          const session = await open("acts");
          const stream = session.request({ ":path": `/events?${file}`, "accept-encoding": coding });
          const text = liveText(stream, coding === "gzip");
          await eventually("the first event came", () => text() === "data: first\n\n", LIMIT_MS);
          writeFileSync(file, "");
          await eventually("the second came", () => text() === "data: first\n\ndata: second\n\n", LIMIT_MS);
        }
      });

      it("stops PHP when the client takes its request back, and the worker goes on", async () => {
        const server = servers.acts;
        const pids = await server.pids();
        const session = await open("acts");
        const streams = [1, 2, 3].map(() => session.request({ ":path": "/stream-forever" }));
        await Promise.all(streams.map((stream) => within(LIMIT_MS, "it streamed", eventOf(stream, "data"))));
        expect((await server.pool()).workersWorking).to.equal(3);
        for (const stream of streams) stream.close(8);
        await server.whole();
        expect(await server.pids()).to.have.members(pids);
        expect((await request(session, { ":path": "/echo?on" })).body).to.equal("on");
        expect((await server.client.stats.getStats({})).stats!.callsOpen).to.equal(0);
      });

      it("serves many streams of a connection at a time", async () => {
        const session = await open("acts");
        const paths = Array.from({ length: 100 }, (_, at) => (at % 2 ? `/large?${at}` : `/echo?${at}`));
        const answers = await Promise.all(paths.map((path) => request(session, { ":path": path })));
        const lengths = answers.map(({ body }) => body.length);
        expect(lengths).to.deep.equal(paths.map((_, at) => (at % 2 ? at * 1024 : String(at).length)));
      });
    });

  /** Clients that others wrote, on other libraries. */
  const CLIENTS: [name: string, argv: (url: string) => string[], shows: RegExp][] = [
    [
      "h2load",
      (url) => ["-n", "2000", "-c", "4", "-m", "50", `${url}/echo?hello`],
      /2000 done, 2000 succeeded, 0 failed/,
    ],
    ["h2load", (url) => ["-n", "200", "-c", "2", "-m", "10", `${url}/large?200`], /200 done, 200 succeeded, 0 failed/],
    ["nghttp", (url) => ["-nv", "--no-verify-peer", `${url}/trailers`], /x-checksum: 841a2d689ad86bd1611447453c22c6fc/],
    ["curl", (url) => ["-sk", "--http2-prior-knowledge", "-w", "%{http_version}", `${url}/echo?hello`], /^hello2$/],
  ];
  for (const scheme of ["https", "http"])
    for (const [program, argv, shows] of CLIENTS)
      it(`serves ${program} ${argv("").join(" ")} (${scheme})`, async function () {
        if (!speaksHttp2(program)) return skip(this, `${program} is not here, or does not know HTTP/2`);
        const url = urlOf(servers.acts, scheme);
        const { stdout } = await promisify(execFile)(program, argv(url));
        expect(stdout).to.match(shows);
      });

  it("asks no more of PHP than a slow client reads, and needs little memory for it", async function () {
    if (process.platform !== "linux") return skip(this, "memory of other processes is read from /proc");
    const server = servers.acts;
    const { processes } = await server.client.server.getServerInfo({});
    const memory = () => processes.reduce((sum, { pid }) => sum + residentBytes(pid), 0);
    // Windows that are open for 100 bytes, and for the connection as a whole wide open.
    const first = Buffer.concat([PREFACE, settings(Setting.initialWindowSize, 100), windowUpdate(0, 1 << 30)]);
    const beforeBytes = memory();
    const wires = [1, 2, 3].map(() => new Http2Wire(server.httpPort, first));
    try {
      for (const wire of wires) {
        wire.write(headers(1, requestHeaders("GET", "/stream-forever")));
        expect(await wire.until(() => wire.bytesOf(1) === 100)).to.equal(true);
      }
      expect((await server.pool()).workersWorking).to.equal(3);
      // What PHP writes meanwhile is bounded: a few hundred kilobytes for each.
      for (let bytes = 200; bytes <= 20_000; bytes += 100)
        for (const wire of wires) {
          wire.write(windowUpdate(1, 100));
          expect(await wire.until(() => wire.bytesOf(1) === bytes)).to.equal(true);
        }
      expect((memory() - beforeBytes) / MEBIBYTE, "MiB").to.be.lessThan(32);
    } finally {
      for (const wire of wires) wire.destroy();
    }
    await server.whole();
  });

  it("ends a response whose last byte fills the window with its end, not with a reset", async () => {
    const wire = new Http2Wire(
      servers.acts.httpPort,
      Buffer.concat([PREFACE, settings(Setting.initialWindowSize, 64 * 1024), windowUpdate(0, 1 << 20)]),
    );
    wire.write(headers(1, requestHeaders("GET", "/large?64")));
    expect(await wire.until(() => wire.bytesOf(1) === 64 * 1024)).to.equal(true);
    await wire.ping();
    expect(wire.resetOf(1)).to.equal(undefined);
    wire.write(windowUpdate(1, 1));
    expect(await wire.until(() => wire.ended(1))).to.equal(true);
    wire.destroy();
  });

  it("answers a client that says that it goes, and closes the connection then", async () => {
    const file = join(directory, "going");
    const wire = new Http2Wire(servers.acts.httpPort);
    wire.write(headers(1, requestHeaders("GET", `/hold?${file}`)));
    await eventually("the request ran", () => readdirSync(directory).some((name) => name.startsWith("going.")));
    wire.write(frame(Type.goaway, 0, 0, Buffer.alloc(8)));
    await wire.ping();
    writeFileSync(file, "");
    expect(await wire.until(() => wire.ended(1))).to.equal(true);
    expect(wire.bodyOf(1)).to.equal("released");
    await wire.until(() => wire.closed);
    expect(wire.closed).to.equal(true);
  });

  it("drops headers with characters that no header may have", async () => {
    const wire = new Http2Wire(servers.middleware.httpPort);
    const forbidden: [string, string][] = [
      ["x-nul", "a\0b"],
      ["x-lf", "a\nb"],
      ["x-cr", "a\rb"],
      ["x y", "1"],
    ];
    wire.write(headers(1, [...requestHeaders("GET", "/app"), ...forbidden, ["x-fine", "1"]]));
    expect(await wire.until(() => wire.ended(1))).to.equal(true);
    const seen = JSON.parse(wire.bodyOf(1)).headers;
    expect(Object.keys(seen).filter((name) => /^x/i.test(name))).to.deep.equal(["X-Fine"]);
    wire.destroy();
  });

  for (const scheme of ["https", "http"])
    it(`lets running streams end when it stops, and takes no more of them (${scheme})`, async () => {
      const ssl = { address: "127.0.0.1:0", key: certificate.keyFile, cert: certificate.certFile };
      const server = await ServerProcess.start({ http: { ssl, http2: { h2c: true } } });
      const session = await openSession(urlOf(server, scheme), { ca: certificate.cert });
      const idle = await openSession(urlOf(server, scheme), { ca: certificate.cert });
      const gone = eventOf(session, "goaway");
      const idleClosed = eventOf(idle, "close");
      const file = join(server.directory, "release");
      const running = request(session, { ":path": `/hold?${file}` });
      await eventually("the request ran", () =>
        readdirSync(server.directory).some((one) => one.startsWith("release.")),
      );
      server.signal("SIGTERM");
      const [code, lastStream] = await within(LIMIT_MS, "GOAWAY came", gone);
      expect([code, lastStream]).to.deep.equal([0, 1]);
      await within(LIMIT_MS, "the idle connection was closed", idleClosed);
      await eventually("new connections were refused", () =>
        send(server.httpUrl).then(
          () => false,
          () => true,
        ),
      );
      writeFileSync(file, "");
      expect(await running).to.include({ status: 200, body: "released" });
      expect(await server.ended(LIMIT_MS)).to.deep.equal({ code: 0, signal: null });
      await server.stop();
    });
});

function speaksHttp2(program: string): boolean {
  const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  return status === 0 && /nghttp2|h2load|nghttp/i.test(stdout);
}

function eventOf(emitter: NodeJS.EventEmitter, name: string): Promise<unknown[]> {
  return new Promise((resolve) => emitter.once(name, (...values: unknown[]) => resolve(values)));
}

async function textOf(stream: ClientHttp2Stream): Promise<string> {
  let text = "";
  stream.setEncoding("utf8");
  for await (const piece of stream) text += piece;
  return text;
}

/** What has come so far. */
function liveText(stream: ClientHttp2Stream, zipped: boolean): () => string {
  let text = "";
  const source = zipped ? stream.pipe(zlib.createGunzip()) : stream;
  source.on("data", (piece: Buffer) => {
    text += piece.toString();
  });
  source.on("error", () => {});
  return () => text;
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;
}
