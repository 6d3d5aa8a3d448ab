import { once } from "node:events";
import { connect } from "node:net";
import { expect } from "chai";
import { send } from "../support/http-load.ts";
import { needsPhp } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

/** Broken HTTP is answered by the server itself: no worker sees it. */
describe("Broken HTTP", function () {
  this.timeout(20_000);
  let server: ServerProcess;
  before(async function () {
    needsPhp(this);
    server = await ServerProcess.start({ http: { max_request_size: 1 }, pool: { num_workers: 1 } });
  });
  after(stopServers);

  /** Sends bytes as they are; resolves with the status line. */
  async function raw(bytes: string): Promise<string> {
    const socket = connect(server.httpPort, "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, "connect");
    socket.write(bytes, "latin1");
    const [answer] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    return answer.toString("latin1").split("\r\n")[0]!;
  }

  const form = (body: string) => ({
    method: "POST",
    body,
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
  });

  const table: [what: string, act: () => Promise<number | string>, expected: number | RegExp][] = [
    [
      "a field name of too many parts",
      async () => (await send(`${server.httpUrl}/echo`, form(`a${"[b]".repeat(127)}=1`))).status,
      400,
    ],
    [
      "a content length that is no number",
      () => raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n"),
      /^HTTP\/1.1 400/,
    ],
    [
      "two content lengths",
      () => raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
      /^HTTP\/1.1 400/,
    ],
    [
      "both length and chunks",
      () => raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
      /^HTTP\/1.1 400/,
    ],
    [
      "a broken chunk",
      () => raw("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
      /^HTTP\/1.1 400/,
    ],
    ["a line that is no request", () => raw("what is this\r\n\r\n"), /^HTTP\/1.1 400/],
    ["HTTP/1.1 without a host", () => raw("GET / HTTP/1.1\r\n\r\n"), /^HTTP\/1.1 400/],
    [
      "headers beyond the limit",
      async () => (await send(server.httpUrl, { headers: { "X-Large": "x".repeat(1 << 20) } })).status,
      431,
    ],
    [
      "a body beyond the limit, announced",
      () => raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n"),
      /^HTTP\/1.1 413/,
    ],
    [
      "a body beyond the limit, in chunks",
      () =>
        raw(
          `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n${"x".repeat(0x100001)}\r\n0\r\n\r\n`,
        ),
      /^HTTP\/1.1 413/,
    ],
  ];
  for (const [what, act, expected] of table)
    it(`${what} is answered with ${expected instanceof RegExp ? expected.source.slice(-3) : expected}`, async () => {
      const before = (await server.pool()).executions;
      const answer = await act();
      if (typeof expected === "number") expect(answer).to.equal(expected);
      else expect(answer).to.match(expected);
      expect((await server.pool()).executions, "no worker saw it").to.equal(before);
    });

  it("leaves the server serving", async () => {
    expect((await send(`${server.httpUrl}/echo?on`)).body).to.equal("on");
    expect((await send(`${server.httpUrl}/body`, { method: "PUT", body: "x".repeat(1 << 20) })).status).to.equal(200);
  });
});

describe("An HTTP server without room", function () {
  this.timeout(20_000);
  before(function () {
    needsPhp(this);
  });
  afterEach(stopServers);

  it("says 503 with Retry-After when too many wait, or one waited too long", async () => {
    const server = await ServerProcess.start({
      pool: { num_workers: 1, max_queue_size: 1, allocate_timeout: "2s" },
    });
    const { eventually } = await import("../support/eventually.ts");
    const { writeFileSync } = await import("node:fs");
    const file = `${server.directory}/release`;
    const running = send(`${server.httpUrl}/hold?${file}`);
    await eventually("it ran", async () => (await server.pool()).workersWorking === 1);
    const waiting = send(`${server.httpUrl}/echo?late`);
    await eventually("one waited", async () => (await server.pool()).queueLength === 1);
    const refused = await send(`${server.httpUrl}/echo?refused`);
    expect(refused.status).to.equal(503);
    expect(Number(refused.headers["retry-after"])).to.be.at.least(1);
    const late = await waiting;
    expect(late.status).to.equal(503);
    expect(late.headers).to.include({ "no-workers": "true" });
    writeFileSync(file, "");
    expect((await running).status).to.equal(200);
    const { failures } = await server.pool();
    expect(failures).to.include({ QUEUE_FULL: 1n, QUEUE_WAIT_EXCEEDED: 1n });
  });

  it("says 503 while paused and while its workers cannot boot", async () => {
    const { rmSync, writeFileSync } = await import("node:fs");
    const { tmpdir } = await import("node:os");
    const file = `${tmpdir()}/rr-test-boots-${process.pid}`;
    writeFileSync(file, "");
    const server = await ServerProcess.start({ script: `boots-while.php ${file}`, pool: { num_workers: 1 } });
    await server.client.pools.pausePool({ pool: "http" });
    const paused = await send(`${server.httpUrl}/echo?x`);
    expect([paused.status, Number(paused.headers["retry-after"])]).to.deep.equal([503, 5]);
    await server.client.pools.resumePool({ pool: "http" });
    expect((await send(`${server.httpUrl}/echo?x`)).status).to.equal(200);
    rmSync(file);
    for (const pid of await server.pids()) process.kill(pid, "SIGKILL");
    const { eventually } = await import("../support/eventually.ts");
    await eventually("it failed", async () => (await server.events("pool.failing")).length > 0);
    const failing = await send(`${server.httpUrl}/echo?x`);
    expect(failing.status).to.equal(503);
    expect(failing.headers).to.have.property("retry-after");
    writeFileSync(file, "");
    await eventually("it recovered", async () => (await send(`${server.httpUrl}/echo?x`)).status === 200);
    rmSync(file);
  });
});
