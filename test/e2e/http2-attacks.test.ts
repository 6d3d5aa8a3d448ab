import { readFileSync } from "node:fs";
import { Agent } from "node:http";
import { expect } from "chai";
import { send } from "../support/http-load.ts";
import { Http2Wire, headers, requestHeaders } from "../support/http2-wire.ts";
import { needsPhp, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";
import { ATTACKS } from "./http2-attacks.ts";

const MEBIBYTE = 1 << 20;
const LAST_STREAM = 1_000_001;

/** What clients of HTTP/2 have done to servers. It ends, costs little memory, and others are served meanwhile. */
describe("Attacks over HTTP/2", function () {
  this.timeout(30_000);
  let server: ServerProcess;
  let pids: number[];
  let idleBytes: number;

  before(async function () {
    if (process.platform !== "linux") return skip(this, "memory of other processes is read from /proc");
    needsPhp(this);
    const limits = {
      header_timeout: "1s",
      keep_alive_timeout: "1s",
      body_idle_timeout: "500ms",
      write_idle_timeout: "1s",
    };
    server = await ServerProcess.start({
      http: { ...limits, request_timeout: "2s", http2: { h2c: true }, middleware: [] },
      logs: { level: "info" },
    });
    pids = await server.pids();
    for (let round = 0; round < 200; round++) await send(`${server.httpUrl}/echo?warm`);
    idleBytes = await memoryBytes();
  });
  after(stopServers);

  /** Resident memory of the core and its frontends. */
  async function memoryBytes(): Promise<number> {
    const { processes } = await server.client.server.getServerInfo({});
    return processes.reduce((sum, { pid }) => {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      return sum + Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1024;
    }, 0);
  }

  /** "408, stream CANCEL, goes on", as far as there were a status and a reset of the first stream. */
  async function endOf(wire: Http2Wire): Promise<string> {
    const status = wire.statusOf(1);
    const reset = wire.resetOf(1);
    const told = [status && String(status), reset && `stream ${reset}`].filter((one) => one);
    if (await wire.ping()) {
      // Without a body: the window may be closed.
      wire.write(headers(LAST_STREAM, requestHeaders("GET", "/status?204")));
      await wire.until(() => wire.ended(LAST_STREAM));
      return [...told, "goes on"].join(", ");
    }
    await wire.until(() => wire.closed);
    return [wire.goaway && `GOAWAY ${wire.goaway}`, wire.closed ? "closed" : "open"].filter((one) => one).join(", ");
  }

  for (const { name, run, ends, first } of ATTACKS)
    it(name, async () => {
      const wire = new Http2Wire(server.httpPort, first);
      try {
        const attack = run(wire);
        // On a connection of its own: one that is kept may come to its end at this moment.
        const other = await send(`${server.httpUrl}/echo?other`, { agent: new Agent() });
        expect([other.status, other.body], "another client meanwhile").to.deep.equal([200, "other"]);
        await attack;
        expect(await endOf(wire)).to.match(ends);
      } finally {
        wire.destroy();
      }
      expect(
        server.log.filter(({ event }) => event === "frontend.exited"),
        "no frontend was lost",
      ).to.deep.equal([]);
      await server.whole();
      expect(await server.pids(), "no worker was lost").to.have.members(pids);
      expect((await send(`${server.httpUrl}/echo?after`)).body).to.equal("after");
      expect((await memoryBytes()) - idleBytes, "bytes of memory").to.be.lessThan(64 * MEBIBYTE);
      expect((await server.client.stats.getStats({})).stats!.callsOpen).to.equal(0);
    });
});
