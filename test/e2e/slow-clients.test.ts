import { writeFileSync } from "node:fs";
import { expect } from "chai";
import { eventually, within } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { needsPhp } from "../support/php.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const LIMIT_MS = 8_000;
const DRIP_MS = 50;
const CONNECTIONS_MAX = 24;

/** Clients that take their time, or all connections: others are served meanwhile, and each limit ends them. */
describe("Slow clients", function () {
  this.timeout(30_000);
  let server: ServerProcess;
  let connections: RawConnection[] = [];

  before(async function () {
    needsPhp(this);
    server = await ServerProcess.start({
      http: {
        header_timeout: "600ms",
        body_idle_timeout: "400ms",
        request_timeout: "1500ms",
        keep_alive_timeout: "500ms",
        write_idle_timeout: "700ms",
        max_connections: CONNECTIONS_MAX,
      },
      pool: { num_workers: 1, stream_timeout: "500ms" },
    });
  });
  afterEach(async () => {
    for (const { socket } of connections) socket.destroy();
    connections = [];
    await eventually("all were gone", () => answers("alive"));
  });
  after(stopServers);
  // While there is no room, connections are closed.
  const answers = async (text: string) =>
    (await send(`${server.httpUrl}/echo?${text}`).catch(() => undefined))?.body === text;

  function connection(text = ""): RawConnection {
    const made = new RawConnection(server.httpPort);
    connections.push(made);
    return text === "" ? made : made.write(text);
  }

  /** Sends `start`, and then `drop` again and again, until the server ends the connection. */
  async function drip(start: string, drop: string): Promise<{ text: string; elapsedMs: number }> {
    const startedMs = performance.now();
    const client = connection(start);
    const timer = setInterval(() => client.socket.writable && client.write(drop), DRIP_MS);
    try {
      const text = await within(LIMIT_MS, "the server ended it", client.all());
      return { text, elapsedMs: performance.now() - startedMs };
    } finally {
      clearInterval(timer);
    }
  }

  const POST = "POST /body HTTP/1.1\r\nHost: x\r\n";
  const drips: [what: string, start: string, drop: string, atLeastMs: number][] = [
    ["a head that comes drop by drop", "GET / HTTP/1.1\r\nX-A: ", "a", 600],
    ["headers that come one by one", "GET / HTTP/1.1\r\n", "X-A: a\r\n", 600],
    ["a request line that comes drop by drop", "GET /", "a", 600],
    ["a body that comes drop by drop", `${POST}Content-Length: 100000\r\n\r\n`, "a", 1500],
    ["chunks that come one by one", `${POST}Transfer-Encoding: chunked\r\n\r\n`, "1\r\nx\r\n", 1500],
    ["a chunk's size that comes drop by drop", `${POST}Transfer-Encoding: chunked\r\n\r\n`, "0", 400],
    ["a body that stops", `${POST}Content-Length: 10\r\n\r\nabc`, "", 400],
    ["a second request that stops", "GET /echo HTTP/1.1\r\nHost: x\r\n\r\nGET /", "", 500],
  ];
  for (const [what, start, drop, atLeastMs] of drips)
    it(`${what}: 408`, async () => {
      const before = (await server.pool()).executions;
      const { text, elapsedMs } = await drip(start, drop);
      expect(text.split("\r\n")).to.include("HTTP/1.1 408 Request Timeout").and.to.include("Connection: close");
      expect(elapsedMs).to.be.within(atLeastMs - 20, atLeastMs + 2_000);
      const asked = Number((await server.pool()).executions - before);
      expect(asked, "PHP was asked for what was whole").to.equal(text.includes("200 OK") ? 1 : 0);
    });

  for (const [what, drop] of [
    ["a connection that says nothing", ""],
    ["empty lines that come one by one", "\r\n"],
  ] as const)
    it(`${what}: closed without a word`, async () => {
      const { text, elapsedMs } = await drip("", drop);
      expect([text, elapsedMs < 600 + 2_000]).to.deep.equal([drop === "" ? "" : text, true]);
      expect(text).not.to.contain("200");
    });

  it("a body that is on its way holds no worker", async () => {
    const slow = connection(`${POST}Content-Length: 200000\r\n\r\n${"x".repeat(150_000)}`);
    await eventually("it came in", () => slow.socket.writableLength === 0);
    expect((await server.pool()).workersWorking).to.equal(0);
    expect((await send(`${server.httpUrl}/echo?at+once`)).body).to.equal("at once");
  });

  it("a client that reads slowly holds no worker once PHP is done", async () => {
    const slow = connection();
    slow.socket.pause();
    slow.write("GET /large?1 HTTP/1.1\r\nHost: x\r\n\r\n");
    await eventually("PHP had answered", async () => (await server.pool()).workersWorking === 0);
    expect((await send(`${server.httpUrl}/echo?at+once`)).body).to.equal("at once");
  });

  it("a client that reads nothing of a stream is cut off, and its worker goes on", async () => {
    const pids = await server.pids();
    const silent = connection();
    silent.socket.pause();
    silent.write("GET /stream-forever HTTP/1.1\r\nHost: x\r\n\r\n");
    await eventually("it streamed", async () => (await server.pool()).workersWorking === 1);
    await eventually("it was cut off", async () => (await server.pool()).workersWorking === 0, LIMIT_MS);
    expect(await server.pids()).to.deep.equal(pids);
  });

  it("an idle connection is closed without a word", async () => {
    const idle = connection("GET /echo?once HTTP/1.1\r\nHost: x\r\n\r\n");
    const text = await within(LIMIT_MS, "it was closed", idle.all());
    expect(text).to.match(/^HTTP\/1\.1 200 [\s\S]*once$/);
  });

  it("a client beyond the limit of connections is closed without a word, and served when there is room", async () => {
    const file = `${server.directory}/room`;
    const holder = connection(`GET /hold?${file} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    await eventually("it ran", async () => (await server.pool()).workersWorking === 1);
    const first = Array.from({ length: CONNECTIONS_MAX - 1 }, () =>
      connection("GET /echo?held HTTP/1.1\r\nHost: x\r\n\r\n"),
    );
    await eventually("all waited", async () => (await server.pool()).queueLength === first.length);
    const beyond = connection("GET /echo?beyond HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await within(LIMIT_MS, "it was closed", beyond.all())).to.equal("");
    writeFileSync(file, "");
    expect(await within(LIMIT_MS, "the first was answered", holder.all())).to.match(/released$/);
    for (const one of first)
      expect(await within(LIMIT_MS, "one that had waited was answered", one.until("held"))).to.match(
        /^HTTP\/1\.1 200 /,
      );
    await eventually("there was room", () => answers("room"));
  });
});
