import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { needsPhp } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

/** An application that answers, and whose answers say that it failed, is seen by who looks at the server. */
describe("Failures of applications", function () {
  this.timeout(20_000);
  before(function () {
    needsPhp(this);
  });
  afterEach(stopServers);

  async function responses(server: ServerProcess): Promise<Record<string, bigint>> {
    const { stats } = await server.client.stats.getStats({});
    return stats!.pools[0]!.responses;
  }

  it("a deployment that boots and fails at every request: errors in the log, counted, and an event", async () => {
    const server = await ServerProcess.start({ script: "fails-everything.php", logs: { level: "warn" } });
    for (let count = 0; count < 12; count++) expect((await fetch(server.httpUrl)).status).to.equal(500);
    const counted = await eventually("all were counted", async () => {
      const found = await responses(server);
      return found["5xx"] === 12n && found;
    });
    expect(counted).to.deep.equal({ "5xx": 12n });
    const [event] = await server.events("pool.error_responses");
    expect(event).to.deep.include({ pool: "http" });
    expect(event!.message).to.match(/^\d+ of \d+ responses of pool "http" were 5xx/);
    expect(Number(event!.attributes.responses_5xx)).to.be.greaterThan(0);
    const line = await server.logLine(({ msg }) => msg.includes("no database today"));
    expect(line.level).to.equal("error");
    expect(line.msg, "one record with its trace").to.contain("#0 ");
    expect((await server.pool()).failures, "no call failed").to.deep.equal({});
  });

  it("counts what the application answered, by class", async () => {
    const server = await ServerProcess.start();
    for (const status of [200, 204, 302, 404, 404])
      await fetch(`${server.httpUrl}/status?${status}`, { redirect: "manual" });
    await fetch(`${server.httpUrl}/exit-0`);
    await eventually("all were counted", async () => (await responses(server))["4xx"] === 2n);
    expect(await responses(server)).to.deep.equal({ "2xx": 2n, "3xx": 1n, "4xx": 2n });
    expect((await server.pool()).failures).to.deep.equal({ WORKER_EXITED: 1n });
    expect(await server.events("pool.error_responses")).to.deep.equal([]);
  });

  it("counts boots that failed apart from calls, by reason", async () => {
    const folder = mkdtempSync(join(tmpdir(), "rr-boots-"));
    const file = join(folder, "there");
    writeFileSync(file, "");
    const server = await ServerProcess.start({ script: `boots-while.php ${file}`, pool: { num_workers: 1 } });
    rmSync(folder, { recursive: true });
    for (const pid of await server.pids()) process.kill(pid, "SIGKILL");
    await eventually("boots failed", async () => ((await server.pool()).bootFailures.BOOT_FAILED ?? 0n) >= 2n);
    expect((await server.pool()).failures).to.deep.equal({});
  });

  it("refused requests write one line a second, and all of them stand in the access log", async () => {
    const server = await ServerProcess.start({
      http: { access_logs: true },
      pool: { num_workers: 1, max_queue_size: 1, allocate_timeout: "5s" },
    });
    const url = (path: string) => `${server.httpUrl}/${path}`;
    const held = [1, 2].map(() => fetch(url("sleep?3000")));
    await eventually("both were there", async () => (await server.pool()).queueLength === 1);
    for (let round = 0; round < 10; round++) {
      const statuses = await Promise.all(Array.from({ length: 20 }, async () => (await fetch(url("echo"))).status));
      expect(new Set(statuses)).to.deep.equal(new Set([503]));
    }
    await Promise.all(held);
    const of = (msg: RegExp) => server.log.filter((line) => msg.test(line.msg) && Number(line.status ?? 503) === 503);
    await eventually("all stand in the access log", () => of(/^http access log$/).length === 200);
    const refused = server.log.filter(({ reason }) => reason === "QUEUE_FULL");
    expect(refused.length).to.be.within(2, 12);
  });
});
