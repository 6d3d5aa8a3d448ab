import { mkdtempSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { expect } from "chai";
import { makeCertificate, noOpenssl } from "../support/certificates.ts";
import { within } from "../support/eventually.ts";
import { FastCgiClient } from "../support/fastcgi-client.ts";
import { type SendOptions, send } from "../support/http-load.ts";
import { openSession, request } from "../support/http2-client.ts";
import { MULTIPART, multipart } from "../support/multipart.ts";
import { needsPhp, skip } from "../support/php.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const LIMIT_MS = 5_000;
const FORM = "application/x-www-form-urlencoded";

/** What RoadRunner's users know of its HTTP plugin, as clients and PHP see it. docs/roadrunner.md names what differs. */
describe("What RoadRunner's HTTP does", function () {
  this.timeout(30_000);
  let server: ServerProcess;

  before(async function () {
    needsPhp(this);
    server = await ServerProcess.start({
      script: "mirror.php",
      http: {
        internal_error_code: 540,
        access_logs: true,
        middleware: ["http_metrics", "proxy_ip_parser", "headers"],
        trusted_subnets: ["127.0.0.0/8"],
        headers: {
          request: { "X-Environment": "test" },
          response: { "X-Frame-Options": "DENY" },
          cors: {
            allowed_origin: "https://app.example",
            allowed_methods: "GET, PUT",
            allowed_headers: "X-Token",
            allow_credentials: true,
            max_age: 60,
          },
        },
        uploads: { allow: [".txt", ".php"], forbid: [".php"] },
      },
      logs: { level: "debug" },
    });
  });
  after(stopServers);

  /** The request as PHP saw it. */
  async function mirrored(path: string, options: SendOptions = {}, from = server) {
    const { status, headers, body } = await send(from.httpUrl + path, options);
    expect(status, body).to.equal(200);
    expect(headers).to.include({ "x-mirror": "yes" });
    return JSON.parse(Buffer.from(body, "latin1").toString());
  }
  const raw = (...lines: string[]) =>
    within(LIMIT_MS, "the connection closed", new RawConnection(server.httpPort).write(lines.join("\r\n")).all());
  const mirrorOf = (response: string) => JSON.parse(response.slice(response.indexOf("\r\n\r\n") + 4));

  describe("requests", () => {
    it("have an absolute uri, the undecoded query, the client's address without a port", async () => {
      const seen = await mirrored("/some%20path/?a=1&b[]=%20x+y");
      expect(seen).to.deep.include({
        method: "GET",
        uri: `${server.httpUrl}/some%20path/?a=1&b[]=%20x+y`,
        protocol: "HTTP/1.1",
        remoteAddr: "127.0.0.1",
        rawQuery: "a=1&b[]=%20x+y",
        parsed: false,
        body: "",
        form: {},
        uploads: {},
        attributes: {},
      });
    });

    it("have canonical header names, all values of each, and no Host", async () => {
      const response = await raw(
        "GET / HTTP/1.1",
        "hOST: example.com:81",
        "x-multi: a",
        "USER-AGENT: tester",
        "X-MULTI: b, c",
        "Connection: close",
        "",
        "",
      );
      const { headers, uri } = mirrorOf(response);
      expect(uri).to.equal("http://example.com:81/");
      expect(headers).to.deep.equal({
        "X-Multi": ["a", "b, c"],
        "User-Agent": ["tester"],
        Connection: ["close"],
        "X-Environment": ["test"],
      });
    });

    it("have decoded cookies, the last of a name, and none that cannot be decoded", async () => {
      const { cookies, headers } = await mirrored("/", {
        headers: { cookie: "a=1; plus=x+y; escaped=%C3%A4; bad=%zz; a=2; empty=" },
      });
      expect(cookies).to.deep.equal({ a: "2", plus: "x+y", escaped: "ä", empty: "" });
      expect(headers.Cookie).to.have.length(1);
    });

    it("of HTTP/1.0 say so", async () => {
      const { protocol } = mirrorOf(await raw("GET / HTTP/1.0", "Host: x", "", ""));
      expect(protocol).to.equal("HTTP/1.0");
    });

    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "QUERY"])
      it(`of ${method} may carry any body, which arrives as it came`, async function () {
        if (method === "QUERY" && !(await import("node:http")).METHODS.includes("QUERY"))
          return skip(this, "this Node does not know QUERY");
        const body = '{"key": "välue\\u0000"}';
        const headers = { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
        const seen = await mirrored("/", { method, headers, body });
        expect(seen).to.deep.include({ method, parsed: false, body, form: {} });
      });

    for (const method of ["POST", "PUT", "PATCH"]) {
      it(`of ${method} with a form come as a tree`, async () => {
        const seen = await mirrored("/", {
          method,
          headers: { "content-type": `${FORM}; charset=utf-8` },
          body: "name=Zo%C3%AB&a[b][c]=1&list[]=x&list[]=y&spaced+name=s&twice=1&twice=2&numbers[0]=n",
        });
        expect(seen).to.deep.include({ parsed: true, uploads: {} });
        expect(seen.form).to.deep.equal({
          name: "Zoë",
          a: { b: { c: "1" } },
          list: ["x", "y"],
          spaced_name: "s",
          twice: "2",
          numbers: ["n"],
        });
      });

      it(`of ${method} with a multipart form come as a tree, with their files`, async () => {
        const seen = await mirrored("/", {
          method,
          headers: { "content-type": MULTIPART },
          body: multipart(
            { name: "a[b]", content: "1" },
            { name: "f", fileName: "first.txt", content: "" },
            { name: "f", fileName: "a.txt", type: "text/x", content: "12345" },
            { name: "refused[]", fileName: "a.php", type: "text/x", content: "1" },
            { name: "refused[]", fileName: "a.jpg", content: "1" },
          ),
        });
        expect(seen).to.deep.include({ parsed: true, form: { a: { b: "1" } } });
        const { f, refused } = seen.uploads;
        expect(f).to.include({ name: "a.txt", mime: "text/x", size: 5, error: 0 });
        expect(f.tmpName).to.match(/\/upload\w+$/);
        expect(refused).to.deep.equal([
          { name: "a.php", mime: "text/x", size: 0, error: 8, tmpName: "" },
          { name: "a.jpg", mime: "", size: 0, error: 8, tmpName: "" },
        ]);
      });
    }

    it("of other methods with a form have an empty tree", async () => {
      const headers = { "content-type": FORM, "content-length": "3" };
      const seen = await mirrored("/", { method: "DELETE", headers, body: "a=1" });
      expect(seen).to.deep.include({ parsed: true, form: {} });
    });

    it("of OPTIONS have no body", async () => {
      const headers = { "content-type": FORM, "content-length": "3" };
      const seen = await mirrored("/", { method: "OPTIONS", headers, body: "a=1" });
      expect(seen).to.deep.include({ method: "OPTIONS", parsed: false, form: {}, body: "" });
    });

    it("say the same in protobuf", async () => {
      const options: Record<string, SendOptions> = {
        "/plain?a=1": { headers: { cookie: "a=%C3%A4", "x-multi": "b" } },
        "/form": { method: "POST", headers: { "content-type": FORM }, body: "a[b]=%C3%A4&c[]=d" },
        "/empty": { method: "POST", headers: { "content-type": FORM }, body: "" },
        "/files": {
          method: "POST",
          headers: { "content-type": MULTIPART },
          body: multipart({ name: "f[]", fileName: "ä.php", content: "x" }, { name: "t", content: "ä" }),
        },
      };
      const http = { middleware: ["headers"], headers: { request: { "X-Environment": "test" } } };
      const other = await ServerProcess.start({ script: "mirror.php", http: { ...http, context_codec: "proto" } });
      for (const [path, one] of Object.entries(options)) {
        const expected = await mirrored(path, { ...one, headers: { ...one.headers, host: "h" } });
        const seen = await mirrored(path, { ...one, headers: { ...one.headers, host: "h" } }, other);
        // An empty tree needs no text in protobuf.
        if (path === "/empty") expected.body = "";
        expect(seen, path).to.deep.equal(expected);
      }
      await other.stop();
    });

    it("come unparsed with raw_body", async () => {
      const unparsed = await ServerProcess.start({ script: "mirror.php", http: { raw_body: true } });
      const form = { method: "POST", headers: { "content-type": FORM }, body: "a=%20+1&broken=%zz" };
      expect(await mirrored("/", form, unparsed)).to.deep.include({ parsed: false, body: form.body, form: {} });
      const body = multipart({ name: "f", fileName: "a.php", content: "text" });
      const seen = await mirrored("/", { method: "POST", headers: { "content-type": MULTIPART }, body }, unparsed);
      expect(seen).to.deep.include({ parsed: false, body: body.toString(), uploads: {} });
      await unparsed.stop();
    });

    it("of trusted proxies have the client's address, those of others their own", async () => {
      const address = async (headers: Record<string, string>, from = server) =>
        (await mirrored("/", { headers }, from)).remoteAddr;
      expect(await address({ "x-forwarded-for": "203.0.113.6, 203.0.113.7, 127.0.0.9" })).to.equal("203.0.113.7");
      expect(await address({ forwarded: 'for="[2001:db8::1]:4711";proto=https' })).to.equal("2001:db8::1");
      expect(await address({ "x-real-ip": "203.0.113.8" })).to.equal("203.0.113.8");
      expect(await address({ "true-client-ip": "203.0.113.9" })).to.equal("203.0.113.9");
      expect(await address({ "cf-connecting-ip": "203.0.113.10" })).to.equal("203.0.113.10");
      expect(await address({ "x-real-ip": "nonsense" })).to.equal("127.0.0.1");
      const other = await ServerProcess.start({
        script: "mirror.php",
        http: { middleware: ["proxy_ip_parser"], trusted_subnets: ["10.0.0.0/8"] },
      });
      expect(await address({ "x-forwarded-for": "203.0.113.7" }, other)).to.equal("127.0.0.1");
      await other.stop();
    });
  });

  describe("responses", () => {
    it("have the worker's status and headers, every value a line of its own", async () => {
      const response = await raw("GET /answer/headers HTTP/1.1", "Host: x", "Connection: close", "", "");
      expect(response).to.match(/^HTTP\/1\.1 203 /);
      for (const line of ["X-Many: a", "X-Many: b", "Set-Cookie: one=1; Path=/", "Set-Cookie: two=2", "X-Lower: c"])
        expect(response.split("\r\n")).to.include(line);
      expect(response).to.match(/\r\n\r\nbody$/);
    });

    it("that name what to push keep the header, and nothing is pushed", async () => {
      const { headers } = await send(`${server.httpUrl}/answer/headers`);
      expect(headers).to.include({ "http2-push": "/style.css" });
    });

    it("without a head are 200", async () => {
      expect(await send(`${server.httpUrl}/answer/no-head`)).to.deep.include({ status: 200, body: "a body alone" });
    });

    it("with a head that cannot be read are 502, and not an empty 200", async () => {
      expect(await send(`${server.httpUrl}/answer/broken-head`)).to.deep.include({ status: 502, body: "" });
      await server.whole();
    });

    it("with a status that none can have are internal_error_code, and say so", async () => {
      const { status, body } = await send(`${server.httpUrl}/answer/status-600`);
      expect(status).to.equal(540);
      expect(body).to.contain("unknown status code from worker: 600");
    });

    it("cannot be split by a line break in a header", async () => {
      const { status, headers } = await send(`${server.httpUrl}/answer/line-break`);
      expect(status).to.equal(200);
      expect(headers).to.include({ "x-b": "d" });
      expect(headers).not.to.have.any.keys("x-a", "x-injected");
    });

    it("of errors of the application are internal_error_code without a word, and the worker goes on", async () => {
      const pids = await server.pids();
      expect(await send(`${server.httpUrl}/answer/error`)).to.deep.include({ status: 540, body: "" });
      expect(await server.pids()).to.have.members(pids);
      expect((await send(`${server.httpUrl}/answer/not-found`)).body).to.equal("no such page");
    });

    it("of HEAD have no body", async () => {
      const response = await raw("HEAD /answer/headers HTTP/1.1", "Host: x", "Connection: close", "", "");
      expect(response).to.match(/^HTTP\/1\.1 203 /);
      expect(response).to.match(/\r\n\r\n$/);
    });
  });

  describe("middleware", () => {
    it("headers: those of the configuration, to PHP and to clients, also with errors", async () => {
      const { headers } = await mirrored("/", { headers: { "x-environment": "forged" } });
      expect(headers["X-Environment"]).to.deep.equal(["test"]);
      for (const path of ["/", "/answer/error"])
        expect((await send(server.httpUrl + path)).headers).to.include({ "x-frame-options": "DENY" });
    });

    it("CORS: a preflight is answered without PHP, a request gets its permission", async () => {
      const { executions } = await server.pool();
      const preflight = await send(`${server.httpUrl}/`, {
        method: "OPTIONS",
        headers: {
          origin: "https://app.example",
          "access-control-request-method": "PUT",
          "access-control-request-headers": "x-token",
        },
      });
      expect(preflight).to.deep.include({ status: 200, body: "" });
      expect(preflight.headers).to.include({
        "access-control-allow-origin": "https://app.example",
        "access-control-allow-methods": "PUT",
        "access-control-allow-credentials": "true",
        "access-control-max-age": "60",
      });
      expect(preflight.headers.vary).to.match(/Origin/);
      expect((await server.pool()).executions).to.equal(executions);
      const allowed = await send(`${server.httpUrl}/`, { headers: { origin: "https://app.example" } });
      expect(allowed.headers).to.include({ "access-control-allow-origin": "https://app.example" });
      const other = await send(`${server.httpUrl}/`, { headers: { origin: "https://evil.example" } });
      expect(other.headers).not.to.have.property("access-control-allow-origin");
    });

    it("that nobody knows is left out, with a warning that names it", async () => {
      const other = await ServerProcess.start({ script: "mirror.php", http: { middleware: ["otel", "gzip"] } });
      const { msg } = await other.logLine(({ event }) => event === "http.middleware_skipped");
      expect(msg).to.contain('"otel"').and.to.contain("gzip");
      const { headers } = await send(`${other.httpUrl}/?${"x".repeat(2_000)}`, {
        headers: { "accept-encoding": "gzip" },
      });
      expect(headers).to.include({ "content-encoding": "gzip", "x-mirror": "yes" });
      await other.stop();
    });
  });

  describe("the access log", () => {
    it("has RoadRunner's fields, and no line breaks of clients", async () => {
      await send(`${server.httpUrl}/logged?a=1`, {
        method: "POST",
        headers: { "user-agent": "tester", referer: "http://from/", host: "example.com" },
        body: "abc",
      });
      const line = await server.logLine(({ msg, URL }) => msg === "http access log" && URL === "/logged");
      expect(line).to.include({
        level: "info",
        status: 200,
        method: "POST",
        URI: "/logged?a=1",
        remote_address: "127.0.0.1",
        read_bytes: 3,
        query: "a=1",
        content_len: 3,
        host: "example.com",
        user_agent: "tester",
        referer: "http://from/",
      });
      expect(line.write_bytes).to.be.above(100);
      expect(line.elapsed).to.be.a("number").and.to.equal(line.request_time);
      expect(line.start).to.match(/^\d{4}-\d\d-\d\dT/);
      expect(line.time_local).to.match(/^\d\d\/[A-Z][a-z]{2}\/\d\d:\d\d:\d\d:\d\d [+-]\d{4}$/);
    });

    it("is a line for debugging unless it is asked for", async () => {
      const quiet = await ServerProcess.start({ script: "mirror.php" });
      await send(`${quiet.httpUrl}/quiet`);
      const line = await quiet.logLine(({ URL }) => URL === "/quiet");
      expect(line).to.include({ msg: "http log", level: "debug", status: 200 }).and.not.to.have.property("user_agent");
      await quiet.stop();
    });
  });

  describe("addresses", () => {
    const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"));
    it("may be of IPv6", async function () {
      if (!hasIpv6) return skip(this, "this machine has no ::1");
      const other = await ServerProcess.start({ script: "mirror.php", http: { address: "[::1]:0" } });
      const seen = await mirrored("/", {}, other);
      expect(seen).to.deep.include({ remoteAddr: "::1", uri: `${other.httpUrl}/` });
      await other.stop();
    });

    it("may be a port alone, of all interfaces", async () => {
      const other = await ServerProcess.start({ script: "mirror.php", http: { address: ":0" } });
      const url = `http://127.0.0.1:${new URL(other.httpUrl).port}/`;
      expect(JSON.parse((await send(url)).body)).to.deep.include({ remoteAddr: "127.0.0.1", uri: url });
      await other.stop();
    });

    it("may be missing where TLS or FastCGI is served, which take uploads as well", async function () {
      const reason = noOpenssl();
      if (reason !== undefined) return skip(this, reason);
      const directory = mkdtempSync(join(tmpdir(), "rr-test-tls-"));
      const { keyFile, certFile, cert } = makeCertificate(directory, "only");
      const fcgi = `${directory}/fcgi.sock`;
      const other = await ServerProcess.start({
        script: "mirror.php",
        http: {
          address: "",
          ssl: { address: "127.0.0.1:0", key: keyFile, cert: certFile },
          fcgi: { address: `unix://${fcgi}` },
        },
      });
      const session = await openSession(other.httpUrl, { ca: cert });
      const secure = await request(session, { ":path": "/path?a=1" });
      expect(JSON.parse(secure.body)).to.deep.include({ protocol: "HTTP/2.0", uri: `${other.httpUrl}/path?a=1` });
      const body = multipart({ name: "f", fileName: "a.txt", content: "12345" }, { name: "t", content: "x" });
      const form = { ":method": "POST", ":path": "/", "content-type": MULTIPART };
      const uploaded = JSON.parse((await request(session, form, body)).body);
      expect(uploaded.form).to.deep.equal({ t: "x" });
      expect(uploaded.uploads.f).to.include({ name: "a.txt", size: 5, error: 0 });
      session.close();
      expect(await tlsVersion(other.httpUrl, "TLSv1.2")).to.equal("TLSv1.2");
      expect(await tlsVersion(other.httpUrl, "TLSv1.1"), "the server's refusal").to.match(/ALERT_PROTOCOL_VERSION/);
      const client = new FastCgiClient({ path: fcgi });
      const params = { REQUEST_METHOD: "GET", REQUEST_URI: "/x", HTTP_HOST: "h", SERVER_PROTOCOL: "HTTP/1.1" };
      const answer = await client.request(1, params);
      expect(JSON.parse(answer.body.toString())).to.include({ uri: "http://h/x" });
      const post = { ...params, REQUEST_METHOD: "POST", CONTENT_TYPE: MULTIPART, CONTENT_LENGTH: String(body.length) };
      const overFastCgi = JSON.parse((await client.request(2, post, Buffer.from(body))).body.toString());
      expect(overFastCgi.form).to.deep.equal({ t: "x" });
      expect(overFastCgi.uploads.f).to.include({ name: "a.txt", size: 5, error: 0 });
      client.socket.destroy();
      await other.stop();
      rmSync(directory, { recursive: true });
    });

    it("may be missing: workers are there all the same", async () => {
      const other = await ServerProcess.start({ script: "mirror.php", http: { address: "" } });
      expect(other.address("http")).to.equal(undefined);
      expect(await other.pids()).to.have.length(2);
      await other.stop();
    });
  });

  it("workers know that they serve HTTP", async () => {
    const other = await ServerProcess.start({});
    const variable = async (name: string) => (await send(`${other.httpUrl}/env?${name}`)).body;
    expect([await variable("RR_MODE"), await variable("RR_RELAY")]).to.deep.equal(["http", "pipes"]);
    expect(await variable("RR_VERSION")).to.match(/^\d+\.\d+\.\d+/);
    await other.stop();
  });

  it("a client that leaves does not disturb its worker", async () => {
    const pids = await server.pids();
    const connection = new RawConnection(server.httpPort).write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    connection.socket.destroy();
    await server.whole();
    expect(await server.pids()).to.have.members(pids);
    expect((await send(`${server.httpUrl}/`)).status).to.equal(200);
  });
});

/** What a client that speaks no later version gets: the version, or the code of its failure. */
function tlsVersion(url: string, version: "TLSv1.1" | "TLSv1.2"): Promise<string> {
  const { hostname: host, port } = new URL(url);
  // The level lets this side offer what it would not offer by itself.
  const ciphers = "DEFAULT@SECLEVEL=0";
  const limits = { minVersion: version, maxVersion: version };
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ciphers, ...limits }, () => {
      resolve(socket.getProtocol()!);
      socket.destroy();
    });
    socket.once("error", (error) => resolve((error as NodeJS.ErrnoException).code!));
  });
}
