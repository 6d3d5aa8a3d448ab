import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type PeerCertificate } from "node:tls";
import { expect } from "chai";
import { parse } from "yaml";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { openSession, request } from "../support/http2-client.ts";
import { freePort, noPebble, Pebble } from "../support/pebble.ts";
import { needsPhp, ROOT, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

/** The sections `http.ssl.acme` that docs/tls.md shows: for Let's Encrypt, and for an authority of one's own. */
const EXAMPLES = [...readFileSync(join(ROOT, "docs/tls.md"), "utf8").matchAll(/^```yaml\n([\s\S]*?)^```$/gm)]
  .map(([, text]) => parse(text!)?.http?.ssl?.acme as Record<string, unknown> | undefined)
  .filter((acme) => acme !== undefined);

describe("ACME with a real authority", function () {
  this.timeout(60_000);
  let directory: string;
  let pebble: Pebble | undefined;

  before(function () {
    needsPhp(this);
    const reason = noPebble();
    if (reason !== undefined) skip(this, reason);
  });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-acme-"));
  });

  afterEach(async () => {
    await stopServers();
    await pebble?.stop();
    pebble = undefined;
    if (directory) rmSync(directory, { recursive: true, force: true });
  });

  /** An example of docs/tls.md, with the addresses and files of this test. */
  function ssl(acme: Record<string, unknown>, address = "127.0.0.1:0", example = EXAMPLES[0]!) {
    const { directoryUrl, caFile } = pebble!;
    const here = { cache_dir: directory, directory_url: directoryUrl, directory_ca: caFile };
    return { address, acme: { ...example, ...here, ...acme } };
  }

  const httpsPort = (server: ServerProcess) =>
    Number(/^ {2}http +https:\/\/127\.0\.0\.1:(\d+)/m.exec(server.output.join("\n"))![1]);

  const ordered = (server: ServerProcess, times = 1) =>
    eventually(
      `${times} certificates were ordered`,
      () => {
        const failed = server.log.find(({ event }) => event === "certificate.failed");
        if (failed) throw new Error(`${failed.msg}\n${pebble!.output.slice(-30).join("\n")}`);
        return server.log.filter(({ event }) => event === "certificate.ordered").length >= times;
      },
      30_000,
    );

  /** The certificate that a client sees, verified with the authority's root. */
  const seen = async (port: number, servername = "www.example.com"): Promise<PeerCertificate> => {
    const ca = await pebble!.root();
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", servername, ca }, () => {
        resolve(socket.getPeerCertificate());
        socket.destroy();
      });
      socket.once("error", reject);
    });
  };

  const served = (port: number, name?: string) =>
    eventually("the certificate was served", () =>
      seen(port, name).then(
        (certificate) => certificate,
        () => undefined,
      ),
    );

  it("orders by http-01 at the start, serves the certificate, and does not order again at the next start", async () => {
    const httpPort = await freePort();
    pebble = await Pebble.start({ httpPort, tlsPort: await freePort() });
    const address = `127.0.0.1:${httpPort}`;
    const http = { address, frontends: 2, ssl: { ...ssl({ alt_http_port: httpPort }), redirect: true } };
    const server = await ServerProcess.start({ script: "protocols.php", http });
    await ordered(server);
    const certificate = await served(httpsPort(server));
    expect(certificate.subjectaltname).to.equal("DNS:example.com, DNS:www.example.com");
    expect(readdirSync(join(directory, "challenges"))).to.deep.equal([]);
    for (const file of ["account.key", "certificate.key", "certificate.crt"])
      expect(statSync(join(directory, file)).mode & 0o777, file).to.equal(0o600);
    expect((await send(`${server.httpUrl}/.well-known/acme-challenge/other`)).status).to.equal(308);
    const [event] = await server.events("certificate.ordered");
    expect(event!.attributes).to.include({ domains: "example.com, www.example.com", why: "missing" });
    expect(Date.parse(event!.attributes.expires!)).to.be.greaterThan(Date.now());
    expect(server.output.join("\n")).not.to.contain("PRIVATE KEY");
    await server.stop();

    const again = await ServerProcess.start({ script: "protocols.php", http });
    expect((await seen(httpsPort(again))).serialNumber).to.equal(certificate.serialNumber);
    await again.stop();
    expect(pebble.orders).to.equal(1);
  });

  it("answers on a port of its own where HTTP is served elsewhere, and on no port afterwards", async () => {
    const httpPort = await freePort();
    pebble = await Pebble.start({ httpPort, tlsPort: await freePort() });
    const http = { address: null, ssl: ssl({ alt_http_port: httpPort }, undefined, EXAMPLES[1]) };
    const server = await ServerProcess.start({ script: "protocols.php", http });
    await ordered(server);
    const { subjectaltname } = await served(httpsPort(server), "app.internal");
    expect(subjectaltname).to.equal("DNS:app.internal");
    const refused = await send(`http://127.0.0.1:${httpPort}/`).catch((error: { code?: string }) => error.code);
    expect(refused).to.equal("ECONNREFUSED");
  });

  it("answers tls-alpn-01 on the address of HTTPS", async () => {
    const tlsPort = await freePort();
    pebble = await Pebble.start({ httpPort: await freePort(), tlsPort });
    const acme = { challenge_type: "tlsalpn-01", alt_tlsalpn_port: tlsPort };
    const server = await ServerProcess.start({
      script: "protocols.php",
      http: { ssl: ssl(acme, `127.0.0.1:${tlsPort}`) },
    });
    await ordered(server);
    expect((await served(tlsPort)).subjectaltname).to.equal("DNS:example.com, DNS:www.example.com");
    const offered = (protocols: string[]) =>
      new Promise<string | false | null>((resolve, reject) => {
        const options = { port: tlsPort, host: "127.0.0.1", servername: "example.com", rejectUnauthorized: false };
        const socket = connect({ ...options, ALPNProtocols: protocols }, () => {
          resolve(socket.alpnProtocol);
          socket.destroy();
        });
        socket.once("error", reject);
      });
    expect(await offered(["http/1.1", "h2"])).to.equal("h2");
    expect(await offered(["http/1.1"])).to.equal("http/1.1");
    expect(await offered([])).to.equal(false);
    for (const protocols of [["acme-tls/1"], ["ftp"]])
      expect(await offered(protocols).catch(({ code }) => code)).to.equal(
        "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
      );
    const session = await openSession(`https://127.0.0.1:${tlsPort}`, {
      ca: await pebble.root(),
      servername: "example.com",
    });
    expect((await request(session, { ":path": "/" })).status).to.equal(200);
    session.close();
    expect(readdirSync(join(directory, "challenges"))).to.deep.equal([]);
  });

  it("answers tls-alpn-01 on a port of its own", async () => {
    const tlsPort = await freePort();
    pebble = await Pebble.start({ httpPort: await freePort(), tlsPort });
    const acme = { challenge_type: "tlsalpn-01", alt_tlsalpn_port: tlsPort };
    const server = await ServerProcess.start({ script: "protocols.php", http: { ssl: ssl(acme) } });
    await ordered(server);
    await served(httpsPort(server));
  });

  it("renews before the end, with no failed connection", async () => {
    const httpPort = await freePort();
    pebble = await Pebble.start({ httpPort, tlsPort: await freePort(), validitySeconds: 12 });
    const http = { address: `127.0.0.1:${httpPort}`, ssl: ssl({ alt_http_port: httpPort }) };
    const server = await ServerProcess.start({ script: "protocols.php", http });
    await ordered(server);
    const first = await served(httpsPort(server));
    await ordered(server, 2);
    const second = await eventually("the new certificate was served", async () => {
      const certificate = await seen(httpsPort(server));
      return certificate.serialNumber !== first.serialNumber && certificate;
    });
    expect(Date.parse(second.valid_to)).to.be.greaterThan(Date.parse(first.valid_to));
    const events = await server.events("certificate.ordered");
    expect(events.map(({ attributes }) => attributes.why).slice(0, 2)).to.deep.equal(["missing", "expiring"]);
  });

  it("goes on serving when the authority refuses, says why, and asks again only later", async () => {
    const nobody = await freePort();
    pebble = await Pebble.start({ httpPort: nobody, tlsPort: nobody });
    const server = await ServerProcess.start({
      script: "protocols.php",
      http: { ssl: ssl({ domains: ["example.com", "www.example.com"], alt_http_port: await freePort() }) },
    });
    const line = await server.logLine(({ event }) => event === "certificate.failed");
    expect(line.msg).to.match(
      /^No certificate for example\.com, www\.example\.com: the authority did not find what it looked for: .*example\.com: /,
    );
    expect(Date.parse(String(line.retry_at)) - Date.now()).to.be.within(100_000, 140_000);
    const [event] = await server.events("certificate.failed");
    expect(event!.attributes).to.include({ attempt: "1", domains: "example.com, www.example.com" });
    expect((await send(`${server.httpUrl}/`)).status).to.equal(200);
    const refused = await seen(httpsPort(server)).catch((error: Error) => error);
    expect(refused).to.be.instanceOf(Error);
    const handshake = await server.logLine(({ event }) => event === "tls.handshake_failed");
    expect(handshake.msg).to.equal("there is no certificate yet: ACME is still to bring one");
    expect(server.log.map(({ event }) => event)).to.include("tls.no_certificate");
    expect(readdirSync(join(directory, "challenges"))).to.deep.equal([]);
    expect(pebble.orders).to.equal(1);
    server.signal("SIGTERM");
    expect((await server.ended()).code).to.equal(0);
    expect(readFileSync(join(directory, "failures.json"), "utf8")).to.contain("failedAtMs");
  });
});
