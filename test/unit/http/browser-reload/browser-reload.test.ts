import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import zlib from "node:zlib";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect } from "chai";
import type { CallContext } from "nice-grpc-common";
import {
  ListEventsRequestSchema,
  WatchEventsRequestSchema,
} from "../../../../gen/roadrunner/event/v1/event_service_pb.ts";
import { setCaller } from "../../../../src/api/caller.ts";
import { eventService } from "../../../../src/api/event-service.ts";
import type { HttpOptions } from "../../../../src/config/options.ts";
import { EventLog } from "../../../../src/events/event-log.ts";
import type { ReloadEvents } from "../../../../src/http/browser-reload/reload-watch.ts";
import { startFrontend } from "../../../../src/http/server.ts";
import { eventually, within } from "../../../support/eventually.ts";
import { openSession, request } from "../../../support/http2-client.ts";
import { httpOptions, MemoryDispatch, memoryLog, send } from "../support.ts";

const PAGE = `<html><body>${"words ".repeat(400)}</body></html>`;

/** A frontend with the core's own service of events, called without a network. */
async function started(overrides: Partial<HttpOptions> = {}) {
  const events = new EventLog(100);
  const stopping = new AbortController();
  const service = eventService(events, stopping.signal);
  const fromFrontend = (context: CallContext): CallContext => {
    setCaller(context, { role: "frontend", actor: "a frontend" });
    return context;
  };
  const reloadEvents = {
    listEvents: (request: MessageInitShape<typeof ListEventsRequestSchema>, context: CallContext) =>
      service.listEvents(create(ListEventsRequestSchema, request), fromFrontend(context)),
    watchEvents: (request: MessageInitShape<typeof WatchEventsRequestSchema>, context: CallContext) =>
      service.watchEvents(create(WatchEventsRequestSchema, request), fromFrontend(context)),
  } as unknown as ReloadEvents;
  events.record("reload.watching", { message: "" });
  const dispatch = new MemoryDispatch();
  const { log } = memoryLog();
  const frontend = await startFrontend({
    options: httpOptions({ browserReload: { path: "/.rr/reload" }, ...overrides }),
    dispatch,
    log,
    listen: { host: "127.0.0.1", port: 0 },
    reloadEvents: [reloadEvents],
  });
  const { port } = frontend.address;
  const close = async () => {
    stopping.abort();
    await frontend.close(0);
  };
  return { events, dispatch, frontend, port, close };
}

/** The states that a browser is told. */
async function follow(port: number) {
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    get({ port, path: "/.rr/reload", agent: false }, resolve).on("error", reject),
  );
  let text = "";
  response.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const states = () =>
    [...text.matchAll(/^data: (.*)$/gm)].map(
      ([, data]) => JSON.parse(data!) as { version: string; failures: string[] },
    );
  const ended = new Promise<void>((resolve) => response.on("close", resolve));
  return { response, states, last: () => states().at(-1), ended };
}

describe("browser reload", () => {
  let running: Awaited<ReturnType<typeof started>>;
  afterEach(() => running.close());

  it("adds a script of the version of now, and serves it", async () => {
    running = await started();
    const { dispatch, port } = running;
    dispatch.answerer = (call) => call.answer(200, { "Content-Type": "text/html", ETag: '"a"' }, PAGE);
    const source = await eventually("the version was known", async () => {
      const { body, headers } = await send(port);
      expect(headers).not.to.have.property("etag");
      expect(headers["content-length"]).to.equal(String(body.length));
      return /<script src="(\/\.rr\/reload\.js\?v=\d+\.\d+\.1)" async><\/script><\/body><\/html>$/.exec(body)?.[1];
    });
    const script = await send(port, { path: source });
    expect(script.headers).to.include({
      "content-type": "text/javascript; charset=utf-8",
      "cache-control": "no-store",
    });
    expect(() => new Function(script.body)).not.to.throw();
    expect(script.body).to.contain('new EventSource("/.rr/reload")');
    expect(dispatch.calls.every(({ context }) => !String(context.uri).includes("/.rr/"))).to.equal(true);
  });

  it("tells of resets and of what failed, and ends its streams with the frontend", async () => {
    running = await started();
    const { events, frontend, port } = running;
    const stream = await follow(port);
    expect(stream.response.headers).to.include({ "content-type": "text/event-stream", "x-accel-buffering": "no" });
    const first = await eventually("the version was known", () =>
      stream.states().find(({ version }) => version !== ""),
    );
    events.record("reload.failed", { pool: "http", message: "syntax error" });
    await eventually("the failure came", () => stream.last()?.failures[0] === "syntax error");
    expect(stream.last()!.version).to.equal(first.version);
    expect(await follow(port).then((late) => eventually("a state came", late.last))).to.deep.equal(stream.last());
    events.record("reload.done", { pool: "http", message: "" });
    await eventually("the reset came", () => stream.last()?.version !== first.version);
    expect(stream.last()!.failures).to.deep.equal([]);
    await within(5_000, "it closed", frontend.close(60_000));
    await within(5_000, "the stream ended", stream.ended);
  });

  for (const middleware of [["gzip"], ["gzip", "static"]])
    it(`comes before ${middleware.join(" and ")}, whole and in pieces`, async () => {
      running = await started({ middleware });
      const { dispatch, port } = running;
      const accepting = { headers: { "accept-encoding": "gzip" } };
      dispatch.answerer = (call) => call.answer(200, { "Content-Type": "text/html" }, PAGE);
      const whole = await send(port, accepting);
      expect(whole.headers).to.include({ "content-encoding": "gzip", "content-length": String(whole.bytes.length) });
      const expected = /words <script src="[^"]+" async><\/script><\/body><\/html>$/;
      expect(zlib.gunzipSync(whole.bytes).toString()).to.match(expected);
      dispatch.answerer = (call) => {
        const head = call.head(200, { "Content-Type": "text/html" });
        call.piece({ context: head, body: Buffer.from(PAGE.slice(0, -10)), more: true });
        call.piece({ body: Buffer.from(PAGE.slice(-10)) });
      };
      const streamed = await send(port, accepting);
      expect(streamed.headers).to.include({ "content-encoding": "gzip", "transfer-encoding": "chunked" });
      expect(zlib.gunzipSync(streamed.bytes).toString()).to.match(expected);
    });

  describe("with a user's own middleware", () => {
    let directory: string;
    before(() => {
      directory = mkdtempSync(join(tmpdir(), "rr-own-"));
      const modules = {
        looks: 'async (c, next) => { await next(); c.header("X-Own", "1"); }',
        rewrites: 'async (c, next) => { await next(); c.res = new Response((await c.res.text()) + " ", c.res); }',
        answers: 'async (c) => c.html("<html><body>words </body></html>")',
      };
      for (const [name, text] of Object.entries(modules))
        writeFileSync(join(directory, `${name}.mjs`), `export default ${text};\n`);
    });
    after(() => rmSync(directory, { recursive: true }));

    for (const chain of ["looks", "gzip looks", "looks gzip", "rewrites", "gzip rewrites", "answers", "gzip answers"])
      it(`adds one tag: ${chain}`, async () => {
        const middleware = chain.split(" ").map((name) => (name === "gzip" ? name : join(directory, `${name}.mjs`)));
        running = await started({ middleware, compression: { minBytes: 1, encodings: ["gzip"] } });
        const { dispatch, port } = running;
        for (const inPieces of [false, true]) {
          dispatch.answerer = (call) => {
            if (!inPieces) return call.answer(200, { "Content-Type": "text/html" }, PAGE);
            call.piece({ context: call.head(200, { "Content-Type": "text/html" }), more: true });
            call.piece({ body: Buffer.from(PAGE) });
          };
          const { bytes, headers } = await send(port, { headers: { "accept-encoding": "gzip" } });
          expect(headers["content-encoding"]).to.equal(chain.includes("gzip") ? "gzip" : undefined);
          const text = (headers["content-encoding"] ? zlib.gunzipSync(bytes) : bytes).toString();
          expect(text).to.match(/words <script src="[^"]+" async><\/script><\/body><\/html> ?$/);
          expect(text.split("<script")).to.have.length(2);
        }
      });
  });

  it("works over HTTP/2", async () => {
    running = await started({ http2: { h2c: true, maxConcurrentStreams: 10 } });
    const { dispatch, events, frontend, port } = running;
    dispatch.answerer = (call) => call.answer(200, { "Content-Type": "text/html" }, PAGE);
    const session = await openSession(`http://127.0.0.1:${port}`);
    const page = await request(session, { ":path": "/" });
    expect(page.body).to.contain('<script src="/.rr/reload.js');
    const stream = session.request({ ":path": "/.rr/reload" });
    let text = "";
    stream.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    await eventually("the stream began", () => text.includes("data: "));
    events.record("reload.failed", { pool: "http", message: "broken" });
    await eventually("the failure came", () => text.includes("broken"));
    const ended = new Promise((resolve) => stream.once("end", resolve));
    await within(5_000, "it closed", frontend.close(60_000));
    await within(5_000, "the stream ended", ended);
    session.destroy();
  });

  it("leaves other responses and other paths alone", async () => {
    running = await started();
    const { dispatch, port } = running;
    dispatch.answerer = (call) => call.answer(200, { "Content-Type": "application/json", ETag: '"a"' }, "{}");
    for (const path of ["/", "/.rr/reloaded", "/.rr/reload/x", "/.rr"])
      expect(await send(port, { path })).to.deep.include({ status: 200, body: "{}" });
    const posted = await send(port, { path: "/.rr/reload", method: "POST", body: "x" });
    expect(posted.headers).to.include({ etag: '"a"' });
    dispatch.answerer = (call) => call.answer(200, { "Content-Type": "text/html", "Content-Length": "50" });
    const head = await send(port, { method: "HEAD" });
    expect(head.headers).to.include({ "content-length": "50" });
  });
});
