import type { IncomingMessage } from "node:http";
import { expect } from "chai";
import type { RouteOptions } from "../../../src/config/options.ts";
import { compilePattern, createRouter } from "../../../src/http/routes.ts";
import { httpOptions } from "./support.ts";

function route(pool: string, conditions: Partial<RouteOptions>): RouteOptions {
  return {
    path: undefined,
    host: undefined,
    methods: [],
    headers: {},
    pool,
    contextCodec: "proto",
    debug: false,
    maxRequestBytes: 10,
    ...conditions,
  };
}

function asked(method: string, url: string, headers: Record<string, string> = {}): IncomingMessage {
  return { method, url, headers } as unknown as IncomingMessage;
}

describe("routes", () => {
  const options = httpOptions({
    routes: [
      route("upload", { path: "/upload", methods: ["POST", "PUT"] }),
      route("reports", { path: "/reports/*" }),
      route("tenant", { host: "*.example.com", path: "/t/*/edit" }),
      route("beta", { headers: { "x-beta": "*", "x-version": "2*" } }),
      route("late", { path: "/reports/*" }),
    ],
  });
  const router = createRouter(options);

  for (const [what, request, pool] of [
    ["path and method", asked("POST", "/upload?x=1"), "upload"],
    ["another method", asked("GET", "/upload"), "http"],
    ["a longer path", asked("POST", "/upload/x"), "http"],
    ["a prefix, and the first of two", asked("GET", "/reports/a/b"), "reports"],
    ["not the folder itself", asked("GET", "/reports"), "http"],
    ["an encoded path", asked("GET", "/%72eports/a"), "reports"],
    ["a path that cannot be decoded", asked("GET", "/reports/%zz"), "reports"],
    ["the absolute form", asked("GET", "http://a.example/reports/x"), "reports"],
    ["no text of the query", asked("GET", "/?/reports/x"), "http"],
    ["host without port, in any case", asked("GET", "/t/7/edit", { host: "A.Example.COM:8080" }), "tenant"],
    ["another host", asked("GET", "/t/7/edit", { host: "example.com" }), "http"],
    ["all headers", asked("GET", "/", { "x-beta": "yes", "x-version": "2.1" }), "beta"],
    ["one of two headers", asked("GET", "/", { "x-beta": "yes", "x-version": "1" }), "http"],
  ] as const)
    it(`fit: ${what}`, () => expect(router(request).pool).to.equal(pool));

  it("bring limits and codec of their pool, and leave the rest", () => {
    const routed = router(asked("GET", "/reports/x"));
    expect(routed).to.deep.equal({ ...options, pool: "reports", contextCodec: "proto", maxRequestBytes: 10 });
    expect(router(asked("GET", "/"))).to.equal(options);
  });

  it("compare in linear time", () => {
    const fits = compilePattern("/a*a*a*a*a*a*a*a*a*a*b");
    const startedAtMs = performance.now();
    expect(fits(`/${"a".repeat(100_000)}`)).to.equal(false);
    expect(performance.now() - startedAtMs).to.be.lessThan(200);
  });

  it("need room for what is before and behind a star", () => {
    const fits = compilePattern("ab*ba");
    expect([fits("aba"), fits("abba"), fits("ab-ba"), fits("ab")]).to.deep.equal([false, true, true, false]);
    const inner = compilePattern("a*bc*c");
    expect([inner("abc"), inner("abcc"), inner("axbcxc")]).to.deep.equal([false, true, true]);
  });
});
