import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect } from "chai";
import { installedVersions, installSet, PACKAGE_SETS } from "../compatibility/official-packages.ts";
import { send } from "../support/http-load.ts";
import { needsPhp, phpFixture, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const OWN = `export default async (c, next) => {
  if (c.req.path === "/denied") return c.text("denied", 403);
  c.set("attributes", { user: "zoe", roles: ["a", "b"] });
  c.set("requestHeaders", { "X-User": "zoe" });
  await next();
  c.header("X-Own", c.res.headers.get("x-app") ?? "none");
};
`;
const TYPED = `import type { IncomingMessage } from "node:http";
interface Context { env: { incoming: IncomingMessage }; set(name: string, value: unknown): void }
export default async (c: Context, next: () => Promise<void>): Promise<void> => {
  c.set("attributes", { typed: String(c.env.incoming.method) });
  await next();
};
`;

/** Middleware in front of real workers, in the server as users run it: compiled, in processes of its own. */
describe("middleware with PHP", function () {
  this.timeout(60_000);
  let directory: string;
  let server: ServerProcess;

  before(async function () {
    needsPhp(this);
    directory = mkdtempSync(join(tmpdir(), "rr-middleware-"));
    mkdirSync(join(directory, "public"));
    writeFileSync(join(directory, "public/style.css"), "body { color: black }\n".repeat(100));
    writeFileSync(join(directory, "public/index.php"), "<?php secret");
    writeFileSync(join(directory, "report.txt"), "0123456789");
    writeFileSync(join(directory, "secret.txt"), "secret");
    writeFileSync(join(directory, "own.mjs"), OWN);
    server = await ServerProcess.start({
      script: "middleware.php",
      http: {
        middleware: [
          "request_id",
          "proxy_ip_parser",
          "headers",
          "gzip",
          "sendfile",
          "static",
          join(directory, "own.mjs"),
        ],
        headers: { request: { "X-Env": "test" }, response: { "X-Frame-Options": "DENY" } },
        static: { dir: join(directory, "public") },
        sendfile: { root: directory },
        trusted_subnets: ["127.0.0.1"],
        access_logs: true,
      },
    });
  });

  after(async () => {
    await stopServers();
    if (directory) rmSync(directory, { recursive: true });
  });

  const accepting = { "accept-encoding": "gzip" };
  const unzipped = (body: string) => gunzipSync(Buffer.from(body, "latin1")).toString();

  it("adds to requests and changes responses", async () => {
    const headers = { ...accepting, "x-forwarded-for": "203.0.113.7", "x-env": "forged", "x-request-id": "id-1" };
    const response = await send(`${server.httpUrl}/app`, { method: "POST", body: "the body", headers });
    expect(response.status).to.equal(200);
    expect(response.headers).to.include({
      "content-encoding": "gzip",
      "x-frame-options": "DENY",
      "x-request-id": "id-1",
      "x-own": "php",
      vary: "Accept-Encoding",
    });
    const seen = JSON.parse(unzipped(response.body));
    expect(seen).to.deep.include({
      address: "203.0.113.7",
      attributes: { user: ["zoe"], roles: ["a", "b"] },
      body: "the body",
    });
    expect(seen.headers).to.deep.include({ "X-Env": ["test"], "X-User": ["zoe"], "X-Request-Id": ["id-1"] });
    const line = await server.logLine(({ msg, URI }) => msg === "http access log" && URI === "/app");
    expect(line).to.include({ request_id: "id-1", remote_address: "203.0.113.7", status: 200 });
    expect(line.write_bytes).to.equal(response.body.length);
  });

  it("answers without PHP where it can", async () => {
    const { executions } = await server.pool();
    expect(await send(`${server.httpUrl}/denied`)).to.deep.include({ status: 403, body: "denied" });
    const css = await send(`${server.httpUrl}/style.css`, { headers: accepting });
    expect(unzipped(css.body)).to.equal("body { color: black }\n".repeat(100));
    expect(css.headers).to.include({ "content-type": "text/css; charset=utf-8", "x-frame-options": "DENY" });
    expect((await server.pool()).executions).to.equal(executions);
    expect((await send(`${server.httpUrl}/index.php`)).headers["x-own"]).to.equal("php");
  });

  it("sends the files that PHP names", async () => {
    const part = await send(`${server.httpUrl}/file?report.txt`, { headers: { range: "bytes=2-4" } });
    expect(part).to.deep.include({ status: 206, body: "234" });
    expect(part.headers).not.to.have.property("x-sendfile");
    expect((await send(`${server.httpUrl}/file?missing.txt`)).status).to.equal(404);
    expect((await send(`${server.httpUrl}/file?..%2Fsecret.txt`)).status).to.equal(403);
  });

  it("passes streams on", async () => {
    const { body, headers } = await send(`${server.httpUrl}/events`, { headers: accepting });
    expect(headers).to.include({ "content-encoding": "gzip", "transfer-encoding": "chunked" });
    expect(unzipped(body)).to.equal("data: 1\n\ndata: 2\n\ndata: 3\n\n");
  });

  it("may be TypeScript", async () => {
    writeFileSync(join(directory, "typed.ts"), TYPED);
    const typed = await ServerProcess.start({
      script: "middleware.php",
      http: { middleware: [join(directory, "typed.ts")] },
    });
    const { body } = await send(`${typed.httpUrl}/`);
    expect(JSON.parse(body).attributes).to.deep.equal({ typed: ["GET"] });
    await typed.stop();
  });

  it("that cannot be loaded keeps the server from starting, with the reason", async () => {
    writeFileSync(join(directory, "broken.mjs"), "export default 5;\n");
    const broken = await ServerProcess.launch({
      script: "middleware.php",
      http: { middleware: [join(directory, "broken.mjs")] },
    });
    expect((await broken.ended()).code).not.to.equal(0);
    const output = broken.output.join("\n");
    expect(output).to.contain(`http.middleware: ${join(directory, "broken.mjs")} cannot be used`);
    expect(output).not.to.match(/^ +at /m);
    await broken.stop();
  });

  it("reaches getAttribute of RoadRunner's packages", async function () {
    for (const set of PACKAGE_SETS.filter(({ name }) => /json|proto/.test(name))) {
      const installed = installSet(set);
      if ("unavailable" in installed) return skip(this, installed.unavailable);
      const worker = join(installed.directory, "attributes.php");
      copyFileSync(phpFixture("official/attributes.php"), worker);
      const official = await ServerProcess.start({
        command: ["php", worker],
        http: { middleware: ["proxy_ip_parser", join(directory, "own.mjs")], trusted_subnets: ["127.0.0.0/8"] },
      });
      const { body } = await send(`${official.httpUrl}/`, { headers: { "x-real-ip": "203.0.113.9" } });
      const seen = JSON.parse(body);
      expect([seen.user].flat(), installedVersions(installed.directory)).to.deep.equal(["zoe"]);
      expect(seen).to.include({ header: "zoe", address: "203.0.113.9" });
      await official.stop();
    }
  });
});

describe("file server beside PHP", function () {
  this.timeout(60_000);
  after(stopServers);

  it("serves its folders, with http and without", async function () {
    needsPhp(this);
    for (const http of [{}, null]) {
      const server = await ServerProcess.start({
        script: "worker.php",
        http,
        ...(http === null && { pools: { other: { num_workers: 1 } } }),
        fileserver: {
          address: "127.0.0.1:0",
          serve: [
            { prefix: "/php", root: phpFixture("official") },
            { prefix: "/acts", root: phpFixture("../http") },
          ],
        },
      });
      const files = server.address("files")!;
      const response = await send(`${files}/acts/contexts.json`);
      expect(response.status).to.equal(200);
      expect(response.headers).to.include({ "content-type": "application/json" });
      expect((await send(`${files}/php/psr-worker.php`)).status).to.equal(404);
      await server.stop();
    }
  });
});
