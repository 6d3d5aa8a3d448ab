import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { FastCgiClient } from "../support/fastcgi-client.ts";
import { send } from "../support/http-load.ts";
import { needsPhp, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const CANNOT_MULTIPLEX = 1;
const UNKNOWN_ROLE = 3;
const PARAMS = {
  REQUEST_METHOD: "GET",
  REQUEST_URI: "/path?a=b",
  SERVER_PROTOCOL: "HTTP/1.1",
  REMOTE_ADDR: "192.0.2.7",
  HTTPS: "on",
  HTTP_HOST: "example.test",
  HTTP_X_ONE: "1",
};

describe("FastCGI with PHP", function () {
  this.timeout(30_000);
  let directory: string;
  let socketPath: string;
  let server: ServerProcess;

  before(async function () {
    needsPhp(this);
    directory = mkdtempSync(join(tmpdir(), "rr-fcgi-"));
    socketPath = join(directory, "fcgi.sock");
    server = await ServerProcess.start({
      script: "protocols.php",
      http: { fcgi: { address: `unix://${socketPath}` } },
    });
  });

  after(async () => {
    await stopServers();
    if (directory) rmSync(directory, { recursive: true });
  });

  it("answers requests, several on a connection that is kept", async () => {
    const client = new FastCgiClient({ path: socketPath });
    const first = await client.request(1, PARAMS);
    expect(first.head).to.match(/^Status: 200 OK\r\n/);
    const seen = JSON.parse(first.body.toString());
    expect(seen).to.include({ protocol: "HTTP/1.1", method: "GET", uri: "https://example.test/path?a=b" });
    expect(seen).to.include({ address: "192.0.2.7" });
    expect(seen.headers).to.deep.include({ "X-One": ["1"] });
    const body = Buffer.alloc(300_000, "x");
    const post = { ...PARAMS, REQUEST_METHOD: "POST", REQUEST_URI: "/length", CONTENT_LENGTH: String(body.length) };
    expect((await client.request(1, post, body)).body.toString()).to.equal("300000");
    expect((await client.request(2, { ...PARAMS, REQUEST_URI: "/stream" })).body.toString()).to.equal("one two three");
    expect((await client.request(3, { ...PARAMS, REQUEST_URI: "/large" }, undefined, false)).body).to.have.length(1e6);
    await client.closed;
  });

  it("refuses what it does not do, and goes on", async () => {
    const client = new FastCgiClient({ path: socketPath });
    client.begin(1).begin(2);
    expect((await client.answer(2)).protocolStatus).to.equal(CANNOT_MULTIPLEX);
    client.params(1, PARAMS).stdin(1, Buffer.alloc(0));
    expect((await client.answer(1)).head).to.contain("Status: 200");
    client.begin(3, { role: [0, 2] });
    expect((await client.answer(3)).protocolStatus).to.equal(UNKNOWN_ROLE);
    const large = await client.request(4, { ...PARAMS, HTTP_X_LARGE: "x".repeat(100_000) });
    expect(large.head).to.contain("Status: 431");
    await client.closed;
  });

  it("closes connections that speak something else", async () => {
    const client = new FastCgiClient({ path: socketPath });
    client.socket.write("GET / HTTP/1.1\r\n\r\n");
    await client.closed;
    expect((await send(server.httpUrl)).status).to.equal(200);
  });

  it("is what nginx passes requests to", async function () {
    if (spawnSync("nginx", ["-v"]).error) return skip(this, "nginx is not installed");
    const port = await freePort();
    const nginx = startNginx(port);
    try {
      const url = `http://127.0.0.1:${port}`;
      await eventually("nginx answered", () =>
        send(url).then(
          () => true,
          () => undefined,
        ),
      );
      const { status, body, headers } = await send(`${url}/x?y`, { method: "POST", body: "hello" });
      expect([status, headers["content-type"]]).to.deep.equal([200, "application/json"]);
      expect(JSON.parse(body)).to.include({ method: "POST", uri: `${url}/x?y`, body: "hello", address: "127.0.0.1" });
      expect((await send(`${url}/large`)).body).to.have.length(1_000_000);
      // The body comes to PHP as the client sends it, without a length.
      const chunks = { "transfer-encoding": "chunked" };
      const large = Buffer.alloc(500_000, "x");
      const unbuffered = await send(`${url}/length`, { method: "PUT", headers: chunks, body: large });
      expect(unbuffered.body).to.equal("500000");
      const cookies = await send(`${url}/cookies`);
      expect([cookies.status, cookies.headers["set-cookie"]]).to.deep.equal([204, ["a=1", "b=2"]]);
    } finally {
      nginx.kill("SIGTERM");
      if (nginx.exitCode === null) await once(nginx, "exit");
    }
  });

  function startNginx(port: number): ChildProcess {
    const params = ["REQUEST_METHOD $request_method", "REQUEST_URI $request_uri", "SERVER_PROTOCOL $server_protocol"];
    params.push("CONTENT_TYPE $content_type", "CONTENT_LENGTH $content_length", "REMOTE_ADDR $remote_addr");
    params.push("HTTPS $https if_not_empty", "HTTP_HOST $http_host");
    const config = `user root; daemon off; pid ${directory}/nginx.pid; error_log stderr; events {}
http { access_log off; client_body_temp_path ${directory}/body; fastcgi_temp_path ${directory}/fastcgi;
proxy_temp_path ${directory}/proxy; uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
upstream app { server unix:${socketPath}; keepalive 4; }
server { listen 127.0.0.1:${port}; location / { fastcgi_pass app; fastcgi_keep_conn on; fastcgi_request_buffering off;
${params.map((param) => `fastcgi_param ${param};`).join("\n")} } } }\n`;
    writeFileSync(join(directory, "nginx.conf"), config);
    return spawn("nginx", ["-p", directory, "-c", join(directory, "nginx.conf")], { stdio: "ignore" });
  }
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
