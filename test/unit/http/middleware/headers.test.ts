import { expect } from "chai";
import type { CorsOptions, HeadersOptions } from "../../../../src/config/options.ts";
import { RrError } from "../../../../src/errors.ts";
import { closeFrontends, send, testFrontend } from "../support.ts";

function cors(overrides: Partial<CorsOptions> = {}): CorsOptions {
  return {
    allowedOrigins: ["https://a.example", "https://*.b.example"],
    allowedOriginPattern: undefined,
    allowedHeaders: ["Content-Type", "X-Token"],
    allowedMethods: ["GET", "POST"],
    allowCredentials: false,
    exposedHeaders: ["x-total-count", "etag"],
    maxAgeSeconds: 600,
    preflightStatus: 200,
    debug: false,
    ...overrides,
  };
}

async function withHeaders(headers: Partial<HeadersOptions>) {
  const started = await testFrontend({
    middleware: ["headers"],
    headers: { request: {}, response: {}, cors: undefined, ...headers },
  });
  started.dispatch.answerer = (call) => call.answer(200, { "X-App": "app", Vary: "Cookie" }, "body");
  return started;
}

describe("headers middleware", () => {
  afterEach(closeFrontends);

  it("gives the application its request headers in place of the client's", async () => {
    const { dispatch, port } = await withHeaders({ request: { "X-Env": "prod", "x-name": "Zoë" } });
    await send(port, { headers: { "x-ENV": ["forged", "twice"], "x-other": "kept" } });
    const { headers } = dispatch.calls[0]!.context as { headers: Record<string, string[]> };
    expect(headers["X-Env"]).to.deep.equal(["prod"]);
    expect(headers["X-Name"]).to.deep.equal(["Zoë"]);
    expect(headers["X-Other"]).to.deep.equal(["kept"]);
  });

  it("adds its response headers where the application has none", async () => {
    const { port } = await withHeaders({ response: { "X-Added": "yes", "x-app": "configured" } });
    const { headers, body } = await send(port);
    expect(headers).to.include({ "x-added": "yes", "x-app": "app" });
    expect(body).to.equal("body");
  });

  it("adds them to errors as well", async () => {
    const { dispatch, port } = await withHeaders({ response: { "X-Added": "yes" } });
    dispatch.answerer = (call) => call.fail(new RrError("WORKER_ERROR", "broken"));
    expect(await send(port)).to.deep.include({ status: 500 });
    expect((await send(port)).headers).to.include({ "x-added": "yes" });
  });

  it("is skipped with a warning if nothing is configured", async () => {
    const { dispatch, port, lines } = await testFrontend({ middleware: ["headers"] });
    dispatch.answerer = (call) => call.answer(200, {});
    expect((await send(port)).status).to.equal(200);
    expect(lines.find(({ level }) => level === "warn")!.message).to.contain("http.headers is missing");
  });

  describe("CORS", () => {
    const preflight = (origin: string, method = "POST", headers?: string) => ({
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": method,
        ...(headers === undefined ? {} : { "access-control-request-headers": headers }),
      },
    });

    it("answers preflights without the application", async () => {
      const { dispatch, port } = await withHeaders({ cors: cors(), response: { "X-Added": "yes" } });
      const { status, headers, body } = await send(
        port,
        preflight("https://a.example", "POST", "x-token,content-type"),
      );
      expect(status).to.equal(200);
      expect(body).to.equal("");
      expect(headers).to.include({
        "access-control-allow-origin": "https://a.example",
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "x-token,content-type",
        "access-control-max-age": "600",
        vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        "x-added": "yes",
      });
      expect(headers).not.to.have.property("access-control-allow-credentials");
      expect(dispatch.calls).to.have.length(0);
    });

    for (const [what, request] of [
      ["origin", preflight("https://evil.example")],
      ["origin that only starts alike", preflight("https://a.example.evil")],
      ["method", preflight("https://a.example", "DELETE")],
      ["header", preflight("https://a.example", "POST", "x-token, x-secret")],
    ] as const)
      it(`gives a wrong ${what} no permission`, async () => {
        const { dispatch, port } = await withHeaders({ cors: cors() });
        const { status, headers } = await send(port, request);
        expect(status).to.equal(200);
        expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).to.deep.equal([]);
        expect(headers.vary).to.contain("Origin");
        expect(dispatch.calls).to.have.length(0);
      });

    it("says why in debug", async () => {
      const { port, lines } = await withHeaders({ cors: cors({ debug: true }) });
      await send(port, preflight("https://a.example", "DELETE"));
      expect(lines.map(({ message }) => message)).to.include("CORS: the method DELETE is not allowed");
    });

    it("knows wildcards, expressions and all", async () => {
      const wildcard = await withHeaders({ cors: cors() });
      const { headers } = await send(wildcard.port, preflight("https://X.b.example"));
      expect(headers["access-control-allow-origin"]).to.equal("https://X.b.example");
      const pattern = await withHeaders({
        cors: cors({ allowedOriginPattern: { source: "^https://c\\d$", flags: "i" }, preflightStatus: 204 }),
      });
      const allowed = await send(pattern.port, preflight("HTTPS://C7"));
      expect(allowed.status).to.equal(204);
      expect(allowed.headers["access-control-allow-origin"]).to.equal("HTTPS://C7");
      const refused = await send(pattern.port, preflight("https://a.example"));
      expect(refused.headers).not.to.have.property("access-control-allow-origin");
      const all = await withHeaders({ cors: cors({ allowedOrigins: ["*"], allowedHeaders: ["*"] }) });
      const any = await send(all.port, preflight("https://z", "GET", "x-anything"));
      expect(any.headers).to.include({
        "access-control-allow-origin": "*",
        "access-control-allow-headers": "x-anything",
      });
    });

    it("lets pages read the application's responses, whatever that says itself", async () => {
      const { dispatch, port } = await withHeaders({ cors: cors({ allowCredentials: true }) });
      dispatch.answerer = (call) => call.answer(200, { Vary: "Cookie", "Access-Control-Allow-Origin": "*" }, "x");
      const { headers, rawHeaders } = await send(port, { headers: { origin: "https://a.example" } });
      expect(headers).to.include({
        "access-control-allow-origin": "https://a.example",
        "access-control-expose-headers": "X-Total-Count, Etag",
        "access-control-allow-credentials": "true",
        vary: "Cookie, Origin",
      });
      expect(rawHeaders.filter((name) => name === "Access-Control-Allow-Origin")).to.have.length(1);
      const plain = await send(port);
      expect(plain.headers.vary).to.equal("Cookie, Origin");
      expect(plain.headers).not.to.have.property("access-control-expose-headers");
    });

    it("leaves other OPTIONS requests to the application", async () => {
      const { dispatch, port } = await withHeaders({ cors: cors() });
      await send(port, { method: "OPTIONS", headers: { origin: "https://a.example" } });
      expect(dispatch.calls.map(({ context }) => context.method)).to.deep.equal(["OPTIONS"]);
    });
  });
});
