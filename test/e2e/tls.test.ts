import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { expect } from "chai";
import { type Certificate, makeCertificate, noOpenssl } from "../support/certificates.ts";
import { send } from "../support/http-load.ts";
import { openSession, request } from "../support/http2-client.ts";
import { needsPhp, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

interface Answer {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  body: string;
}

describe("TLS and HTTP/2 with PHP", function () {
  this.timeout(60_000);
  let directory: string;
  let first: Certificate;
  let second: Certificate;
  let server: ServerProcess;

  before(async function () {
    needsPhp(this);
    const reason = noOpenssl();
    if (reason !== undefined) return skip(this, reason);
    directory = mkdtempSync(join(tmpdir(), "rr-tls-"));
    first = makeCertificate(directory, "first");
    second = makeCertificate(directory, "second");
    copyFileSync(first.keyFile, join(directory, "tls.key"));
    copyFileSync(first.certFile, join(directory, "tls.crt"));
    server = await ServerProcess.start({ script: "protocols.php", http: { ...tls(), http2: { h2c: true } } });
  });

  after(async () => {
    await stopServers();
    if (directory) rmSync(directory, { recursive: true });
  });

  function tls(more: Record<string, unknown> = {}) {
    const files = { key: join(directory, "tls.key"), cert: join(directory, "tls.crt") };
    return { ssl: { address: "127.0.0.1:0", redirect: true, ...files, ...more } };
  }

  const urlOf = (one: ServerProcess, scheme: string) =>
    new RegExp(`^ {2}http +(${scheme}://\\S+)`, "m").exec(one.output.join("\n"))![1]!;

  function get(
    url: string,
    options: { ca?: string; cert?: string; key?: string; agent?: Agent } = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { ca = first.cert, agent = new Agent({ maxCachedSessions: 0 }), ...rest } = options;
      const outgoing = httpsRequest(url, { ca, agent, ...rest }, (incoming) => {
        let body = "";
        incoming.on("data", (piece) => (body += piece));
        incoming.on("end", () => resolve({ status: incoming.statusCode!, headers: incoming.headers, body }));
        incoming.on("error", reject);
      });
      outgoing.on("error", reject);
      outgoing.end();
    });
  }

  it("serves HTTP/1.1 to who does not speak HTTP/2", async () => {
    const url = urlOf(server, "https");
    const { status, headers, body } = await get(`${url}/one?a=b`);
    expect(status).to.equal(200);
    expect(headers).to.include({ "strict-transport-security": "max-age=31536000; includeSubDomains; preload" });
    expect(JSON.parse(body)).to.include({ protocol: "HTTP/1.1", uri: `${url}/one?a=b`, address: "127.0.0.1" });
  });

  it("serves HTTP/2 to who does", async () => {
    const url = urlOf(server, "https");
    const session = await openSession(url, { ca: first.cert });
    expect((session.socket as TLSSocket).alpnProtocol).to.equal("h2");
    expect(session.remoteSettings.maxConcurrentStreams).to.equal(128);
    const posted = await request(session, { ":path": "/two?x", ":method": "POST", cookie: ["a=1", "b=2"] }, "the body");
    expect(posted.status).to.equal(200);
    const seen = JSON.parse(posted.body);
    expect(seen).to.include({ protocol: "HTTP/2.0", method: "POST", uri: `${url}/two?x`, body: "the body" });
    expect(seen.headers).to.deep.include({ Cookie: ["a=1; b=2"] });
    const stream = await request(session, { ":path": "/stream" });
    expect(stream.body).to.equal("one two three");
    expect(stream.headers).to.include({ "x-multi": "a, b" });
    expect(stream.headers).not.to.have.any.keys("connection", "transfer-encoding", "keep-alive");
    expect((await request(session, { ":path": "/trailers" })).trailers).to.include({ "x-sum": "42" });
    expect((await request(session, { ":path": "/large" })).body).to.have.length(1_000_000);
    const body = Buffer.alloc(3_000_000, "x");
    expect((await request(session, { ":path": "/length", ":method": "POST" }, body)).body).to.equal("3000000");
    const head = await request(session, { ":path": "/large", ":method": "HEAD" });
    expect([head.status, head.body]).to.deep.equal([200, ""]);
    const cookies = await request(session, { ":path": "/cookies" });
    expect([cookies.status, cookies.headers["set-cookie"]]).to.deep.equal([204, ["a=1", "b=2"]]);
    const many = await Promise.all(Array.from({ length: 50 }, (_, at) => request(session, { ":path": `/n${at}` })));
    expect(many.map(({ body: text }) => JSON.parse(text).uri)).to.deep.equal(many.map((_, at) => `${url}/n${at}`));
    session.close();
  });

  it("redirects plain requests with 308, of HTTP/1 and of HTTP/2 without TLS", async () => {
    const location = `${urlOf(server, "https")}/path?query`;
    const plain = await send(`${server.httpUrl}/path?query`, { method: "POST", body: "x" });
    expect(plain).to.deep.include({ status: 308, body: "" });
    expect(plain.headers.location).to.equal(location);
    const session = await openSession(server.httpUrl);
    expect((await request(session, { ":path": "/path?query" })).headers).to.include({ ":status": 308, location });
    session.close();
  });

  it("takes a new certificate under load without a failed request, and keeps the old one if the new is broken", async () => {
    const url = urlOf(server, "https");
    const trusted = first.cert + second.cert;
    let ended = false;
    let responses = 0;
    const failures: string[] = [];
    const lanes = Array.from({ length: 4 }, async () => {
      while (!ended)
        await get(url, { ca: trusted }).then(
          ({ status }) => (status === 200 ? responses++ : failures.push(String(status))),
          (error: Error) => failures.push(error.message),
        );
    });
    writeFileSync(join(directory, "tls.crt"), "no certificate");
    await server.logLine(({ event }) => event === "tls.reload_failed", "the broken certificate was noticed");
    expect(await certificateName(url)).to.equal("first");
    writeFileSync(join(directory, "tls.key"), readFileSync(second.keyFile));
    writeFileSync(join(directory, "tls.crt"), readFileSync(second.certFile));
    await server.logLine(({ event }) => event === "tls.reloaded", "the certificate was loaded");
    expect(await certificateName(url)).to.equal("second");
    ended = true;
    await Promise.all(lanes);
    expect(failures).to.deep.equal([]);
    expect(responses).to.be.greaterThan(10);
    writeFileSync(join(directory, "tls.key"), readFileSync(first.keyFile));
    writeFileSync(join(directory, "tls.crt"), readFileSync(first.certFile));
    await server.logLine(() => server.log.filter(({ event }) => event === "tls.reloaded").length > 1);
  });

  it("lets running requests of HTTP/2 end when it stops", async () => {
    const one = await ServerProcess.start({ script: "protocols.php", http: tls() });
    const session = await openSession(urlOf(one, "https"), { ca: first.cert });
    expect((await request(session, { ":path": "/" })).status).to.equal(200);
    const closed = new Promise((resolve) => session.once("close", resolve));
    one.signal("SIGTERM");
    await closed;
    expect((await one.ended()).code).to.equal(0);
    await one.stop();
  });

  describe("client certificates", () => {
    let authority: Certificate;
    let known: Certificate;
    let stranger: Certificate;

    before(() => {
      authority = makeCertificate(directory, "authority");
      known = makeCertificate(directory, "known", authority);
      stranger = makeCertificate(directory, "stranger");
    });

    for (const [type, none, unknown] of [
      ["no_client_cert", true, true],
      ["request_client_cert", true, true],
      ["require_any_client_cert", false, true],
      ["verify_client_cert_if_given", true, false],
      ["require_and_verify_client_cert", false, false],
    ] as const)
      it(type, async () => {
        const http = tls({ client_auth_type: type, root_ca: authority.certFile });
        const one = await ServerProcess.start({ script: "protocols.php", http });
        const url = urlOf(one, "https");
        const enters = (certificate?: Certificate) => {
          const identity = certificate ? { key: certificate.key, cert: certificate.cert } : {};
          const overHttp1 = get(url, identity).then(
            ({ status }) => status === 200,
            () => false,
          );
          const overHttp2 = openSession(url, { ca: first.cert, ...identity }).then(
            (session) => {
              session.close();
              return true;
            },
            () => false,
          );
          return Promise.all([overHttp1, overHttp2]);
        };
        expect(await enters(known), "a client with a certificate of the authority").to.deep.equal([true, true]);
        expect(await enters(), "a client without a certificate").to.deep.equal([none, none]);
        expect(await enters(stranger), "a client with another certificate").to.deep.equal([unknown, unknown]);
        await one.stop();
      });
  });

  it("does not start with files that do not make a certificate", async () => {
    const one = await ServerProcess.launch({
      script: "protocols.php",
      http: { ssl: { key: second.keyFile, cert: first.certFile } },
    });
    expect((await one.ended()).code).not.to.equal(0);
    expect(one.output.join("\n")).to.match(
      /\.rr\.yaml:\d+:\d+: http\.ssl\.key: \S+second\.key is not the key of the certificate/,
    );
    await one.stop();
  });

  function certificateName(url: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(url).port), "127.0.0.1", { rejectUnauthorized: false }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.once("error", reject);
    });
  }
});

describe("HTTP/2 without TLS", function () {
  this.timeout(30_000);
  afterEach(stopServers);

  it("is served beside HTTP/1 on the same port", async function () {
    needsPhp(this);
    const http = { http2: { h2c: true, max_concurrent_streams: 7 } };
    const server = await ServerProcess.start({ script: "protocols.php", http });
    const session = await openSession(server.httpUrl);
    expect(session.remoteSettings.maxConcurrentStreams).to.equal(7);
    const { body } = await request(session, { ":path": "/x" });
    expect(JSON.parse(body)).to.include({ protocol: "HTTP/2.0", uri: `${server.httpUrl}/x` });
    session.close();
    expect(JSON.parse((await send(`${server.httpUrl}/x`)).body)).to.include({ protocol: "HTTP/1.1" });
  });
});
