import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { expect } from "chai";
import type { HttpOptions } from "../../../../src/config/options.ts";
import { RrError } from "../../../../src/errors.ts";
import { closeFrontends, RawConnection, send, testFrontend } from "../support.ts";

const NODE_MODULES = fileURLToPath(new URL("../../../../node_modules", import.meta.url));

describe("a user's own middleware", () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "rrctl-own-"));
    await symlink(NODE_MODULES, join(directory, "node_modules"));
  });

  afterEach(async () => {
    await closeFrontends();
    await rm(directory, { recursive: true });
  });

  /** Modules become paths, names stay names. */
  async function chain(
    middleware: readonly (string | { module: string; name?: string })[],
    http: Partial<HttpOptions> = {},
  ) {
    const names: string[] = [];
    for (const [index, one] of middleware.entries()) {
      if (typeof one === "string") names.push(one);
      else {
        const path = join(directory, one.name ?? `middleware-${index}.mjs`);
        await writeFile(path, one.module);
        names.push(path);
      }
    }
    return testFrontend({ middleware: names, ...http });
  }

  it("leaves what it does not change as the application wrote it: order, number and every name", async () => {
    const pass = { module: "export default async (c, next) => { await next(); };" };
    const touch = {
      module: 'export default async (c, next) => { await next(); c.header("X-New", "n"); };',
      name: "touch.mjs",
    };
    const written = {
      "X-M": ["1", "2"],
      "Set-Cookie": ["a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT", "b=2"],
      "A-Last": ["z"],
      "X-Hono-Already-Sent": ["1"],
      "Www-Authenticate": ["Basic", 'Digest a="b, c"'],
      "X-Spaces": [" a "],
      "X-Caf\xe9-Free": [],
      "X-Bytes": ["caf\xe9"],
    };
    const headersWith = async (middleware: Parameters<typeof chain>[0]) => {
      const { dispatch, port } = await chain(middleware);
      dispatch.answerer = (call) => call.answer(200, written, "body");
      const { rawHeaders, body, status } = await send(port);
      expect([status, body]).to.deep.equal([200, "body"]);
      const dateAt = rawHeaders.indexOf("Date");
      return rawHeaders.toSpliced(dateAt, 2);
    };
    const expected = await headersWith([]);
    expect(expected.filter((one) => one === "X-M")).to.have.length(2);
    expect(await headersWith([pass])).to.deep.equal(expected);
    expect(await headersWith([pass, pass, "headers", pass])).to.deep.equal(expected);
    const touched = await headersWith([touch]);
    expect(touched.slice(0, expected.length - 4)).to.deep.equal(expected.slice(0, -4));
    expect(
      touched.map((one) => one.toLowerCase()),
      touched.join(),
    ).to.include("x-new");
  });

  it("that changes a header of several values changes all of them", async () => {
    const { dispatch, port } = await chain([
      {
        module:
          'export default async (c, next) => { await next(); c.header("X-M", "3"); c.header("X-A", undefined); };',
      },
    ]);
    dispatch.answerer = (call) => call.answer(200, { "X-M": ["1", "2"], "X-A": ["1", "2"], "X-B": ["1", "2"] });
    const { headers } = await send(port);
    expect(headers).to.include({ "x-m": "3", "x-b": "1, 2" }).and.not.to.have.property("x-a");
  });

  for (const status of [204, 205, 304])
    it(`sends ${status} without a body, whatever the application wrote`, async () => {
      const { dispatch, port } = await chain([{ module: "export default async (c, next) => { await next(); };" }]);
      dispatch.answerer = (call) => call.answer(status, { "Content-Length": ["5"] }, "hello");
      expect(await send(port)).to.deep.include({ status, body: "" });
    });

  it("adds to the request", async () => {
    const { dispatch, port } = await chain([
      {
        module: `export default async (c, next) => {
          if (c.req.header("authorization") !== "Bearer good") return c.json({ error: "who are you?" }, 401);
          c.set("attributes", { user: "Zoë", roles: ["admin", 7], none: null });
          c.set("requestHeaders", { "X-User": "zoe", "x-forged": "" });
          c.set("remoteAddress", "203.0.113.9");
          await next();
        };`,
      },
    ]);
    dispatch.answerer = (call) => call.answer(200, {}, "welcome");
    const refused = await send(port, { path: "/a" });
    expect(refused).to.deep.include({ status: 401, body: '{"error":"who are you?"}' });
    expect(refused.headers).to.include({ "content-type": "application/json", "content-length": "24" });
    expect(dispatch.calls).to.have.length(0);
    const headers = { authorization: "Bearer good", "x-forged": "yes", "x-user": ["me", "too"] };
    expect((await send(port, { headers })).body).to.equal("welcome");
    const { context } = dispatch.calls[0]!;
    expect(context.attributes).to.deep.equal({ user: ["Zoë"], roles: ["admin", "7"] });
    expect(context.remoteAddr).to.equal("203.0.113.9");
    expect(context.headers).to.deep.include({ "X-User": ["zoe"], "X-Forged": [""] });
  });

  it("sees and changes the response of the application", async () => {
    const { dispatch, port } = await chain([
      {
        module: `export default async (c, next) => {
          const startedMs = Date.now();
          await next();
          c.header("X-Seen", [c.res.status, c.res.headers.get("x-app"), c.get("requestId")].join(" "));
          c.res.headers.delete("x-app");
          c.res.headers.append("set-cookie", "b=2");
          if (Date.now() - startedMs > 60_000) c.status(500);
        };`,
      },
    ]);
    dispatch.answerer = (call) =>
      call.answer(203, { "X-App": "app", "Set-Cookie": ["a=1; Path=/", "c=3"], "Content-Type": "text/plain" }, "body");
    const { status, headers, body } = await send(port, { headers: { "x-request-id": "id-1" } });
    expect({ status, body }).to.deep.equal({ status: 203, body: "body" });
    expect(headers).to.include({ "x-seen": "203 app id-1", "content-length": "4", "content-type": "text/plain" });
    expect(headers).not.to.have.property("x-app");
    expect(headers["set-cookie"]).to.have.members(["a=1; Path=/", "c=3", "b=2"]);
    const head = await send(port, { method: "HEAD" });
    expect(head.headers).to.include({ "content-length": "4" });
  });

  it("may be any middleware of Hono", async () => {
    const { dispatch, port } = await chain([
      { module: `import { secureHeaders } from "hono/secure-headers"; export default secureHeaders();` },
      { module: `import { cors } from "hono/cors"; export default cors({ origin: "https://a.example" });` },
      { module: `import { etag } from "hono/etag"; export default etag();` },
      { module: `import { compress } from "hono/compress"; export default compress();` },
    ]);
    const text = "to be compressed ".repeat(200);
    dispatch.answerer = (call) => call.answer(200, { "Content-Type": "text/plain", Vary: "Cookie" }, text);
    const { headers, bytes } = await send(port, {
      headers: { "accept-encoding": "gzip", origin: "https://a.example" },
    });
    expect(headers).to.include({
      "x-frame-options": "SAMEORIGIN",
      "access-control-allow-origin": "https://a.example",
      "content-encoding": "gzip",
    });
    expect(gunzipSync(bytes).toString()).to.equal(text);
    const tagged = await send(port);
    expect(tagged.body).to.equal(text);
    const again = await send(port, { headers: { "if-none-match": tagged.headers.etag! } });
    expect(again).to.deep.include({ status: 304, body: "" });
  });

  it("may read, replace and end the response's body", async () => {
    const { dispatch, port } = await chain([
      {
        module: `export default async (c, next) => {
          await next();
          if (c.req.path === "/read") c.res = new Response((await c.res.text()).toUpperCase(), c.res);
          if (c.req.path === "/replace") c.res = c.text("instead", 418);
          if (c.req.path === "/nothing") c.res = new Response(null, { status: 204 });
          if (c.req.path === "/wrapped") c.res = new Response(c.res.body, { headers: { "x-wrapped": "1" } });
        };`,
      },
    ]);
    dispatch.answerer = (call) => {
      call.piece({ context: call.head(200, { "Content-Length": "10" }), body: Buffer.from("first"), more: true });
      setImmediate(() => call.piece({ body: Buffer.from("-last") }));
    };
    const read = await send(port, { path: "/read" });
    expect(read).to.deep.include({ status: 200, body: "FIRST-LAST" });
    expect(read.headers["content-length"]).to.equal("10");
    expect(await send(port, { path: "/replace" })).to.deep.include({ status: 418, body: "instead" });
    expect(await send(port, { path: "/nothing" })).to.deep.include({ status: 204, body: "" });
    const wrapped = await send(port, { path: "/wrapped" });
    expect(wrapped.body).to.equal("first-last");
    expect(wrapped.headers).to.include({ "x-wrapped": "1" });
    expect(await send(port, { path: "/other" })).to.deep.include({ status: 200, body: "first-last" });
  });

  it("does not hold up streams, nor bring them out of step with slow clients", async () => {
    const { dispatch, port } = await chain([
      { module: `export default async (c, next) => { await next(); c.res.headers.set("x-late", "1"); };` },
    ]);
    const connection = new RawConnection(port).write("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    const call = await dispatch.next();
    call.piece({ context: call.head(200, { "Content-Type": "text/event-stream" }), more: true });
    expect((await connection.until("\r\n\r\n")).toLowerCase()).to.contain("x-late: 1");
    call.piece({ body: Buffer.from("data: 1\n\n"), more: true });
    await connection.until("data: 1");
    connection.socket.pause();
    const piece = Buffer.alloc(256 * 1024, "x");
    let sentBytes = 0;
    const goal = 16 * 1024 * 1024;
    const sending = (async () => {
      while (sentBytes < goal) {
        await call.until(() => call.request.windowBytes + call.grantedBytes - sentBytes > 0);
        call.piece({ body: piece, more: true });
        sentBytes += piece.length;
      }
      call.piece({});
    })();
    connection.socket.resume();
    await sending;
    expect((await connection.all()).length).to.be.greaterThan(goal);
  });

  it("ends the call when the client leaves before or while it answers", async () => {
    const { dispatch, port, lines, frontend } = await chain([
      { module: `export default async (c, next) => { await next(); await c.res.text(); };` },
    ]);
    for (const withHead of [false, true]) {
      const connection = new RawConnection(port).write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      const call = await dispatch.next();
      if (withHead) call.piece({ context: call.head(200), body: Buffer.from("x"), more: true });
      connection.socket.destroy();
      await call.until(({ cancelled }) => cancelled);
    }
    expect(frontend.stats().disconnects).to.equal(2);
    expect(lines.filter(({ level }) => level === "error")).to.have.length(0);
  });

  it("sees failures of the application as responses", async () => {
    const { dispatch, port } = await chain([
      {
        module: `export default async (c, next) => {
          await next();
          c.res = c.text("sorry: " + c.res.status, c.res.status);
        };`,
      },
    ]);
    dispatch.answerer = (call) => call.fail(new RrError("WORKER_EXITED", "gone"));
    expect(await send(port)).to.deep.include({ status: 502, body: "sorry: 502" });
  });

  it("that throws is answered with 500 and named in the log", async () => {
    const { port, lines } = await chain([
      { module: `export default async (c, next) => { throw new Error("my mistake " + c.req.path); };` },
    ]);
    expect((await send(port, { path: "/x" })).status).to.equal(500);
    expect(lines.find(({ level }) => level === "error")!.message).to.equal("my mistake /x");
  });

  it("takes its place in the order: outer ones see what inner ones made", async () => {
    const order = (name: string) => ({
      module: `export default async (c, next) => {
        c.set("requestHeaders", { "x-order": (c.get("requestHeaders")?.["x-order"] ?? "") + "${name}" });
        await next();
        c.res.headers.set("x-order", (c.res.headers.get("x-order") ?? "") + "${name}" + (c.res.headers.get("content-encoding") ?? "-"));
      };`,
    });
    const { dispatch, port } = await chain([order("a"), "gzip", order("b"), "headers"], {
      headers: { request: {}, response: { "X-Order": "h" }, cors: undefined },
    });
    dispatch.answerer = (call) => call.answer(200, { "Content-Type": "text/plain" }, "body ".repeat(1000));
    const { headers, bytes } = await send(port, { headers: { "accept-encoding": "gzip" } });
    expect(headers["x-order"]).to.equal("hb-agzip");
    expect(gunzipSync(bytes).toString()).to.equal("body ".repeat(1000));
    expect((dispatch.calls[0]!.context.headers as Record<string, string[]>)["X-Order"]).to.deep.equal(["ab"]);
  });

  it("stands around files, too", async () => {
    await writeFile(join(directory, "a.txt"), "the file");
    const { port, dispatch } = await chain(
      [
        {
          module: `export default async (c, next) => { await next(); c.header("x-own", c.res.headers.get("content-length")); };`,
        },
        "static",
      ],
      {
        static: {
          root: directory,
          etag: "none",
          index: [],
          precompressed: true,
          ranges: true,
          freshMs: 0,
          headers: {},
          forbid: [],
          allow: [],
          extensionless: true,
          notFound: [],
          followLinks: "owner",
        },
      },
    );
    const { headers, body } = await send(port, { path: "/a.txt" });
    expect(body).to.equal("the file");
    expect(headers).to.include({ "x-own": "8", "content-length": "8" });
    expect(dispatch.calls).to.have.length(0);
  });

  describe("reading the request's body", () => {
    const READER = {
      module: `export default async (c, next) => {
        const how = c.req.query("how");
        if (how === "text") c.set("attributes", { saw: (await c.req.text()).length });
        if (how === "json") c.set("attributes", { saw: (await c.req.json()).key });
        if (how === "form") c.set("attributes", { saw: (await c.req.parseBody()).field });
        if (how === "bytes") c.set("attributes", { saw: (await c.req.arrayBuffer()).byteLength });
        if (how === "raw") { let n = 0; for await (const piece of c.req.raw.body) n += piece.length; c.set("attributes", { saw: n }); }
        if (how === "part") await c.req.raw.body.getReader().read();
        await next();
      };`,
    };
    const binary = Buffer.from([0, 255, 254, 13, 10, 128]);

    for (const [how, type, body, saw] of [
      ["text", "text/plain", Buffer.from("hello"), "5"],
      ["json", "application/json", Buffer.from('{"key":"value"}'), "value"],
      [
        "form",
        "multipart/form-data; boundary=B",
        Buffer.from('--B\r\nContent-Disposition: form-data; name="field"\r\n\r\nx\r\n--B--\r\n'),
        "x",
      ],
      ["bytes", "application/octet-stream", binary, "6"],
      ["raw", "application/octet-stream", Buffer.alloc(300_000, binary), "300000"],
      ["text", "application/octet-stream", Buffer.alloc(300_000, binary), undefined],
      ["not", "application/octet-stream", Buffer.alloc(300_000, binary), undefined],
    ] as const)
      for (const chunked of [false, true])
        it(`leaves it to the application: ${how}, ${body.length} bytes${chunked ? " in chunks" : ""}`, async () => {
          const { dispatch, port } = await chain([READER]);
          const headers: Record<string, string> = { "content-type": type };
          headers[chunked ? "transfer-encoding" : "content-length"] = chunked ? "chunked" : String(body.length);
          const response = send(port, { method: "POST", path: `/?how=${how}`, headers, body });
          const call = await dispatch.next();
          await call.until(({ complete }) => complete);
          call.answer(200, {}, "ok");
          expect((await response).status).to.equal(200);
          // The application gets a form as its tree.
          const expected = how === "form" ? Buffer.from('{"field":"x"}') : body;
          expect(call.body.equals(expected), call.body.toString("latin1")).to.equal(true);
          if (saw !== undefined) expect(call.context.attributes).to.deep.equal({ saw: [saw] });
        });

    it("asks a client that waits to go on, once", async () => {
      const { dispatch, port } = await chain([READER]);
      dispatch.answerer = (call) => call.answer(200, {}, `got ${call.body}`);
      for (const how of ["text", "not"]) {
        const connection = new RawConnection(port);
        connection.write(
          `POST /?how=${how} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`,
        );
        await connection.until("100 Continue\r\n\r\n");
        const text = await connection.write("hello").all();
        expect(text).to.match(/got hello$/);
        expect(text.split("100 Continue")).to.have.length(2);
      }
    });

    it("does not ask it if middleware answers without", async () => {
      const { port } = await chain([{ module: `export default (c) => c.text("no", 401);` }]);
      const connection = new RawConnection(port);
      connection.write(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
      );
      expect(await connection.all()).to.match(/^HTTP\/1.1 401 /);
    });

    it("ends where the body is too large", async () => {
      const { dispatch, port } = await chain([READER], { maxRequestBytes: 1000 });
      const headers = { "transfer-encoding": "chunked", "content-type": "text/plain" };
      const response = await send(port, { method: "POST", path: "/?how=text", headers, body: "x".repeat(2000) });
      expect(response.status).to.equal(413);
      expect(dispatch.calls).to.have.length(0);
    });

    it("fails if it was read in part", async () => {
      const { port, lines } = await chain([READER]);
      const body = Buffer.alloc(900_000);
      expect((await send(port, { method: "POST", path: "/?how=part", body })).status).to.equal(500);
      expect(lines.some(({ message }) => message.includes("read a part of the request's body"))).to.equal(true);
    });
  });

  it("may be TypeScript", async () => {
    const { dispatch, port } = await chain([
      {
        name: "typed.ts",
        module: `import type { MiddlewareHandler } from "hono";
          const middleware: MiddlewareHandler = async (c, next): Promise<void> => {
            c.set("attributes", { typed: "yes" as string });
            await next();
          };
          export default middleware;`,
      },
    ]);
    dispatch.answerer = (call) => call.answer(200, {});
    await send(port);
    expect(dispatch.calls[0]!.context.attributes).to.deep.equal({ typed: ["yes"] });
  });

  for (const [what, module, expected] of [
    [
      "has no default export",
      "export const middleware = 1;",
      /default export must be a Hono middleware.*there is none/,
    ],
    ["exports something else", "export default { a: 1 };", /must be a Hono middleware.*it is of type object/],
    ["cannot be parsed", "export default async (c, next => {", /SyntaxError/],
    ["throws", `throw new TypeError("not today");`, /TypeError: not today/],
    ["imports what is not there", `import "./nowhere.mjs"; export default () => {};`, /nowhere\.mjs/],
  ] as const)
    it(`that ${what} keeps the server from starting, with the file's name and the reason`, async () => {
      let thrown: unknown;
      await chain([{ module }]).catch((error) => {
        thrown = error;
      });
      expect(thrown).to.be.instanceOf(RrError);
      const { message } = thrown as RrError;
      expect(message).to.match(expected);
      expect(message).to.contain(join(directory, "middleware-0.mjs"));
    });

  it("that does not exist is named", async () => {
    let thrown: unknown;
    await chain([join(directory, "missing.mjs")]).catch((error) => {
      thrown = error;
    });
    expect((thrown as RrError).message).to.contain("missing.mjs cannot be used: it does not exist");
  });

  it("with attributes that no worker can be told is answered with 500", async () => {
    const { port, lines } = await chain([
      { module: `export default async (c, next) => { c.set("attributes", { user: { id: 1 } }); await next(); };` },
    ]);
    expect((await send(port)).status).to.equal(500);
    expect(lines.find(({ level }) => level === "error")!.message).to.contain('the attribute "user"');
  });
});
