import { expect } from "chai";
import { HttpLoad, send } from "../support/http-load.ts";
import { needsPhp, phpFixture } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

/** Requests that go to pools of their own. */
describe("Several pools behind one address", function () {
  this.timeout(60_000);
  let server: ServerProcess;

  before(async function () {
    needsPhp(this);
    server = await ServerProcess.start({
      http: {
        routes: [
          { pool: "slow", path: "/sleep*" },
          { pool: "small", path: "/body", methods: ["POST"], max_request_size: "1KB" },
        ],
      },
      pool: { num_workers: 1 },
      pools: {
        slow: {
          command: `php ${phpFixture("worker.php")}`,
          num_workers: 1,
          max_queue_size: 2,
          allocate_timeout: "30s",
        },
        small: { command: `php ${phpFixture("worker.php")}`, num_workers: 1 },
      },
    });
  });
  after(stopServers);

  it("each get what their routes say", async () => {
    await send(`${server.httpUrl}/body`, { method: "POST", body: "hello" });
    const executions = async (name: string) => Number((await server.pool(name)).executions);
    const before = [await executions("http"), await executions("small")];
    await send(`${server.httpUrl}/echo?x`);
    await send(`${server.httpUrl}/body`, { method: "POST", body: "hello" });
    expect([await executions("http"), await executions("small")]).to.deep.equal([before[0]! + 1, before[1]! + 1]);
  });

  it("have limits of their own", async () => {
    const body = "x".repeat(2000);
    expect((await send(`${server.httpUrl}/body`, { method: "POST", body })).status).to.equal(413);
    expect((await send(`${server.httpUrl}/body`, { method: "PUT", body })).status).to.equal(200);
  });

  it("find http in RR_MODE", async () => {
    const { body } = await send(`${server.httpUrl}/env?RR_MODE`);
    expect(body).to.include("http");
    expect((await server.pool("slow")).command).to.include("worker.php");
  });

  it("do not wait for each other: a slow one with a full queue delays no other", async () => {
    const slow = Array.from({ length: 5 }, () => send(`${server.httpUrl}/sleep?1500`));
    // Two more than may run and wait are refused; then the pool is full.
    const first = await Promise.race(slow.map(async (one) => (await one).status));
    expect(first, "the queue is full").to.equal(503);
    const load = new HttpLoad(`${server.httpUrl}/echo?hello`, 4);
    const longest = await longestOf(() => send(`${server.httpUrl}/echo?hello`), 50);
    const { statuses, failures } = await load.end();
    expect(failures).to.deep.equal([]);
    expect([...statuses.keys()]).to.deep.equal([200]);
    expect(longest, "milliseconds").to.be.lessThan(750);
    const statusesOfSlow = (await Promise.all(slow)).map(({ status }) => status).sort();
    expect(statusesOfSlow).to.deep.equal([200, 200, 200, 503, 503]);
  });
});

async function longestOf(act: () => Promise<unknown>, times: number): Promise<number> {
  let longestMs = 0;
  for (let count = 0; count < times; count++) {
    const startedAtMs = performance.now();
    await act();
    longestMs = Math.max(longestMs, performance.now() - startedAtMs);
  }
  return longestMs;
}
