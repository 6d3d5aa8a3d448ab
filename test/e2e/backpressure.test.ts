import { readFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { needsPhp, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const MEBIBYTE = 1 << 20;

/** What clients do that leave or do not read must cost the server neither memory nor workers. */
describe("Clients that leave and clients that are slow", function () {
  this.timeout(60_000);
  let server: ServerProcess;

  before(async function () {
    if (process.platform !== "linux") return skip(this, "memory of other processes is read from /proc");
    needsPhp(this);
    server = await ServerProcess.start({
      pool: { num_workers: 4, stream_timeout: "1s", stop_grace: "500ms" },
      logs: { level: "info" },
    });
    // What grows once, at the first use, is no leak.
    await leaveStreams(50);
  });
  after(stopServers);

  /** Resident memory of the core and its frontends. */
  async function memoryBytes(): Promise<number> {
    const { processes } = await server.client.server.getServerInfo({});
    return processes.reduce((sum, { pid }) => sum + residentBytes(pid), 0);
  }

  function opened(path: string): Promise<{ incoming: IncomingMessage; leave: () => void }> {
    return new Promise((resolve, reject) => {
      const outgoing = request(`${server.httpUrl}/${path}`, { agent: false }, (incoming) => {
        incoming.on("error", () => {});
        resolve({ incoming, leave: () => outgoing.destroy() });
      });
      outgoing.on("error", reject);
      outgoing.end();
    });
  }

  async function leaveStreams(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const clients = await Promise.all(Array.from({ length: 4 }, () => opened("stream-forever")));
      for (const { leave } of clients) leave();
    }
    await server.whole();
  }

  it("give their workers back when they leave a stream, again and again", async () => {
    const before = await server.pids();
    // The heap first grows to what such work needs; only what grows after that would be a leak.
    await leaveStreams(50);
    const beforeBytes = await memoryBytes();
    const afterwards: number[] = [];
    for (let part = 0; part < 4; part++) {
      await leaveStreams(25);
      afterwards.push(await memoryBytes());
    }
    expect(await server.pids(), "no worker had to be killed").to.have.members(before);
    // Memory comes and goes with the garbage collector; what leaks only comes. 400 streams were left.
    const grownBytes = Math.min(...afterwards.slice(-2)) - beforeBytes;
    expect(grownBytes, `${beforeBytes}, then ${afterwards.join(", ")}`).to.be.lessThan(32 * MEBIBYTE);
    expect((await server.client.stats.getStats({})).stats!.callsOpen).to.equal(0);
  });

  it("give their workers back when they leave before the answer", async () => {
    const controllers = Array.from({ length: 4 }, () => new AbortController());
    for (const { signal } of controllers)
      void fetch(`${server.httpUrl}/sleep?700`, { signal }).catch(() => "what was given up is no answer");
    await eventually("all worked", async () => (await server.pool()).workersWorking === 4);
    for (const controller of controllers) controller.abort();
    await server.whole();
    expect((await send(`${server.httpUrl}/echo?on`)).body).to.equal("on");
  });

  it("leave no trace when they leave while they wait for a worker", async () => {
    const held = Array.from({ length: 4 }, () => send(`${server.httpUrl}/sleep?600`));
    await eventually("all worked", async () => (await server.pool()).workersWorking === 4);
    const controllers = Array.from({ length: 20 }, () => new AbortController());
    for (const { signal } of controllers)
      void fetch(`${server.httpUrl}/echo?never`, { signal }).catch(() => "what was given up is no answer");
    await eventually("they waited", async () => (await server.pool()).queueLength === 20);
    for (const controller of controllers) controller.abort();
    await eventually("nobody waited", async () => (await server.pool()).queueLength === 0);
    for (const { status } of await Promise.all(held)) expect(status).to.equal(200);
  });

  it("do not fill the memory of the server when they do not read an endless stream", async () => {
    const beforeBytes = await memoryBytes();
    const clients = await Promise.all(Array.from({ length: 4 }, () => opened("stream-forever")));
    for (const { incoming } of clients) incoming.pause();
    // PHP would send a gigabyte a second if somebody let it: it must come to a stop.
    const written = async () => (await cpuMs(await server.pids())).reduce((sum, ms) => sum + ms, 0);
    let before = await written();
    await eventually("PHP came to a stop", async () => {
      await new Promise((resolve) => setTimeout(resolve, 150));
      const now = await written();
      const stopped = now === before;
      before = now;
      return stopped;
    });
    expect((await memoryBytes()) - beforeBytes).to.be.lessThan(64 * MEBIBYTE);
    // They still can: the stream goes on where it stopped.
    const [{ incoming }] = clients as [(typeof clients)[0]];
    let bytes = 0;
    incoming.on("data", (piece: Buffer) => {
      bytes += piece.length;
    });
    incoming.resume();
    await eventually("the stream went on", () => bytes > 4 * MEBIBYTE);
    for (const { leave } of clients) leave();
    await server.whole();
  });

  it("free the worker of an answer that fits the buffers, however slowly they read it", async () => {
    const slow = await Promise.all(Array.from({ length: 12 }, () => opened("large?100")));
    for (const { incoming } of slow) incoming.pause();
    await server.whole();
    expect((await send(`${server.httpUrl}/echo?on`)).body).to.equal("on");
    for (const { incoming, leave } of slow) {
      let bytes = 0;
      for await (const piece of incoming) bytes += (piece as Buffer).length;
      expect(bytes).to.equal(100 * 1024);
      leave();
    }
  });

  it("free the worker of a large answer as well, and get it all, however slowly they read it", async () => {
    const slow = await Promise.all(Array.from({ length: 4 }, () => opened("large?12000")));
    for (const { incoming } of slow) incoming.pause();
    await server.whole();
    expect((await send(`${server.httpUrl}/echo?on`)).body).to.equal("on");
    const [first, ...rest] = slow;
    let text = "";
    for await (const piece of first!.incoming) text += (piece as Buffer).toString("latin1");
    expect(text === "0123456789abcdef".repeat(64 * 12_000)).to.equal(true);
    for (const { leave } of rest) leave();
    await server.whole();
  });

  it("hold no worker while they send", async () => {
    const { connect } = await import("node:net");
    const sockets = Array.from({ length: 8 }, () => connect(server.httpPort, "127.0.0.1"));
    for (const socket of sockets)
      socket.on("error", () => {}).write("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nbeginning");
    await eventually("they all were connected", () => sockets.every(({ readyState }) => readyState === "open"));
    for (let round = 0; round < 20; round++) expect((await send(`${server.httpUrl}/echo?on`)).body).to.equal("on");
    expect((await server.pool()).workersWorking).to.equal(0);
    for (const socket of sockets) socket.destroy();
  });

  it("get large bodies through, unchanged, both ways", async () => {
    const body = Buffer.alloc(24 * MEBIBYTE, "0123456789");
    const { createHash } = await import("node:crypto");
    const answer = await send(`${server.httpUrl}/body`, { method: "PUT", body });
    expect(answer.body).to.equal(`${body.length} ${createHash("md5").update(body).digest("hex")}`);
    const large = await send(`${server.httpUrl}/large?20000`);
    expect(large.body.length).to.equal(20_000 * 1024);
    await server.whole();
  });
});

function residentBytes(pid: number): number {
  const match = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  return Number(match?.[1] ?? 0) * 1024;
}

/** Processor time, in ticks of 10 ms. */
async function cpuMs(pids: readonly number[]): Promise<number[]> {
  return pids.map((pid) => {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  });
}
