import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { Agent as HttpsAgent, get as httpsGet } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "chai";
import { makeCertificate, noOpenssl } from "../support/certificates.ts";
import { compiledRrctl } from "../support/compiled-server.ts";
import { eventually, within } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { openSession, request } from "../support/http2-client.ts";
import { Flag, Http2Wire, headers, requestHeaders } from "../support/http2-wire.ts";
import { needsPhp, skip } from "../support/php.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";
import { isAlive } from "../support/test-pool.ts";

const LIMIT_MS = 8_000;

/** How a server ends, in the server as users run it: what clients see, what is left, the exit code. */
describe("The end of a server", function () {
  this.timeout(30_000);
  let directory: string;

  before(function () {
    needsPhp(this);
    directory = mkdtempSync(join(tmpdir(), "rr-end-"));
  });
  afterEach(stopServers);
  after(() => {
    if (directory) rmSync(directory, { recursive: true });
  });

  const get = (path: string) => `GET /${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
  const file = (server: ServerProcess) => join(server.directory, "release");
  const held = (server: ServerProcess) =>
    eventually("the request ran", () => readdirSync(server.directory).some((name) => name.startsWith("release.")));
  const draining = (server: ServerProcess) => server.logLine(({ msg }) => msg.startsWith("asked to end"));
  const rrctlStop = async (server: ServerProcess, ...argv: string[]) => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...[await compiledRrctl(), "stop", "--address", server.controlAddress, ...argv],
    ]);
    return stdout;
  };
  const processesOf = async (server: ServerProcess) => [
    ...(await server.client.server.getServerInfo({})).processes.map(({ pid }) => pid),
    ...(await server.pids()),
  ];

  for (const [name, ask] of [
    ["SIGTERM", async (server: ServerProcess) => server.signal("SIGTERM")],
    ["SIGINT", async (server: ServerProcess) => server.signal("SIGINT")],
    ["rrctl stop", async (server: ServerProcess) => void rrctlStop(server, "--no-wait")],
  ] as const)
    it(`by ${name}: what runs is finished, kept connections are closed politely, and it ends with 0`, async () => {
      const server = await ServerProcess.start({ http: { http2: { h2c: true } } });
      const processes = await processesOf(server);
      const [idle, running] = [new RawConnection(server.httpPort), new RawConnection(server.httpPort)];
      idle.write(get("echo?kept"));
      await within(LIMIT_MS, "it was answered", idle.until("kept"));
      expect(idle.forget().text).to.equal("");
      const session = await openSession(server.httpUrl);
      const stream = request(session, { ":path": "/sleep?500" });
      const goaway = new Promise((resolve) => session.once("goaway", (code) => resolve(code)));
      running.write(get(`hold?${file(server)}`));
      await held(server);
      await ask(server);
      expect(await within(LIMIT_MS, "GOAWAY came", goaway)).to.equal(0);
      expect(await within(LIMIT_MS, "the idle connection was closed", idle.all())).to.equal("");
      expect(await stream).to.include({ status: 200, body: "slept" });
      writeFileSync(file(server), "");
      const answer = await within(LIMIT_MS, "the running one was closed", running.all());
      expect(answer).to.match(/^HTTP\/1\.1 200 [\s\S]*released$/);
      expect(answer).to.match(/\r\nConnection: close\r\n/i);
      expect(await server.ended(LIMIT_MS)).to.deep.equal({ code: 0, signal: null });
      expect(processes.filter(isAlive)).to.deep.equal([]);
    });

  it("rrctl stop waits until it has ended", async () => {
    const server = await ServerProcess.start();
    expect(await rrctlStop(server)).to.match(new RegExp(`^The server \\(pid ${server.pid}\\) stopped after `));
    expect((await server.ended(1_000)).code).to.equal(0);
  });

  it("answers requests that come by a connection that is open already, and closes it after that", async () => {
    const server = await ServerProcess.start({ endure: { drain_delay: "700ms" } });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await send(`${server.httpUrl}/echo?one`, { agent });
    server.signal("SIGTERM");
    await draining(server);
    const { status, body } = await send(`${server.httpUrl}/echo?two`, { agent });
    expect([status, body]).to.deep.equal([200, "two"]);
    expect((await server.ended(LIMIT_MS)).code).to.equal(0);
    agent.destroy();
  });

  it("is not held up by connections that have said nothing, or not enough", async function () {
    const reason = noOpenssl();
    if (reason !== undefined) return skip(this, reason);
    const { keyFile: key, certFile: cert } = makeCertificate(directory, "server");
    const http = { ssl: { address: "127.0.0.1:0", key, cert }, http2: { h2c: true } };
    const server = await ServerProcess.start({ http });
    const tlsPort = Number(/https:\/\/127\.0\.0\.1:(\d+)/.exec(server.output.join("\n"))![1]);
    const sockets = [
      [server.httpPort, ""],
      [server.httpPort, "PRI * HT"],
      [server.httpPort, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
      [server.httpPort, "GET / HT"],
      [tlsPort, ""],
      [tlsPort, "\x16\x03\x01"],
    ].map(([port, text]) => {
      const socket = connect(port as number, "127.0.0.1", () => socket.write(text as string, "latin1"));
      return socket.on("error", () => {}).resume();
    });
    await Promise.all(sockets.map((socket) => eventually("it was connected", () => !socket.connecting)));
    // Who comes later is let in later: those before are in now.
    await send(server.httpUrl);
    (await openSession(`https://127.0.0.1:${tlsPort}`, { rejectUnauthorized: false })).close();
    const half = new Http2Wire(server.httpPort);
    half.write(headers(1, requestHeaders(), Flag.endStream));
    expect(await half.until(() => half.frames.length > 0)).to.equal(true);
    const agent = new HttpsAgent({ keepAlive: true, rejectUnauthorized: false });
    await get200(`https://127.0.0.1:${tlsPort}/echo`, agent);
    server.signal("SIGTERM");
    const startMs = performance.now();
    expect((await server.ended(LIMIT_MS)).code).to.equal(0);
    half.destroy();
    agent.destroy();
    expect(performance.now() - startMs).to.be.lessThan(5_000);
    for (const socket of sockets) socket.destroy();
  });

  it("cuts off what still runs after the grace period, and ends with 0 all the same", async () => {
    const server = await ServerProcess.start({ endure: { grace_period: "500ms" }, pool: { stop_grace: "300ms" } });
    const processes = await processesOf(server);
    const running = new RawConnection(server.httpPort).write(get("sleep?60000"));
    await eventually("it ran", async () => (await server.pool()).workersWorking === 1);
    server.signal("SIGTERM");
    const answer = await within(LIMIT_MS, "it was cut off", running.all());
    expect(answer)
      .to.match(/^HTTP\/1\.1 503 /)
      .and.to.match(/\r\nRetry-After: 1\r\n/i);
    expect((await server.ended(LIMIT_MS)).code).to.equal(0);
    expect(server.log.find(({ event }) => event === "http.request_failed")?.reason).to.equal("DRAINING");
    expect(processes.filter(isAlive)).to.deep.equal([]);
  });

  for (const [first, second] of [
    ["SIGTERM", "SIGTERM"],
    ["SIGINT", "SIGTERM"],
    ["rrctl stop", "SIGINT"],
  ] as const)
    it(`is hurried by a second signal (${first}, then ${second}): with 1, at once, leaving nothing`, async () => {
      const temporary = mkdtempSync(join(directory, "tmp-"));
      const through = ["env", `TMPDIR=${temporary}`];
      const server = await ServerProcess.start({ pool: { num_workers: 2 } }, ["-p"], through);
      expect(readdirSync(temporary)).not.to.deep.equal([]);
      expect(existsSync(join(server.directory, ".pid"))).to.equal(true);
      const processes = await processesOf(server);
      const running = new RawConnection(server.httpPort).write(get("sleep?60000"));
      await eventually("it ran", async () => (await server.pool()).workersWorking === 1);
      if (first === "rrctl stop") await rrctlStop(server, "--no-wait");
      else {
        server.signal(first);
        await draining(server);
      }
      const startMs = performance.now();
      server.signal(second);
      expect(await server.ended(LIMIT_MS)).to.deep.equal({ code: 1, signal: null });
      expect(performance.now() - startMs).to.be.lessThan(2_000);
      expect(await within(LIMIT_MS, "it was cut off", running.all())).to.equal("");
      await eventually("all processes were gone", () => !processes.some(isAlive));
      expect(existsSync(join(server.directory, ".pid"))).to.equal(false);
      expect(readdirSync(temporary)).to.deep.equal([]);
    });
});

/** Leaves its connection open. */
function get200(url: string, agent: HttpsAgent): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = httpsGet(url, { agent }, (incoming) => {
      incoming.resume().once("end", () => {
        if (incoming.statusCode === 200) resolve();
        else reject(new Error(`the status was ${incoming.statusCode}`));
      });
    });
    outgoing.once("error", reject);
  });
}
