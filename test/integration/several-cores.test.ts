import { expect } from "chai";
import { planEnd } from "../../src/async/end-plan.ts";
import { type CoreClient, connectCore } from "../../src/client/core-client.ts";
import { createDispatchClient, type DispatchClient } from "../../src/client/dispatch-client.ts";
import { eventually } from "../support/eventually.ts";
import { memoryLog } from "../support/memory-log.ts";
import { needsPhp } from "../support/php.ts";
import { freePort } from "../support/pool-options.ts";
import { failure, open } from "../support/streamed-call.ts";
import { startCore, stopCores, type TestCore } from "../support/test-core.ts";

/** One client of two cores, each with pools of its own. */
describe("A dispatch client of several cores", function () {
  this.timeout(30_000);
  let one: TestCore;
  let other: TestCore;
  let clients: CoreClient[];
  let dispatch: DispatchClient;
  let lines: ReturnType<typeof memoryLog>["lines"];

  before(function () {
    needsPhp(this, "posix");
  });
  async function begin(pool: Record<string, unknown> = {}): Promise<void> {
    const pools = { echo: { num_workers: 2, ...pool } };
    [one, other] = await Promise.all([startCore(pools), startCore(pools)]);
    clients = [one, other].map(({ address }) => connectCore(address));
    const { log, lines: logged } = memoryLog();
    lines = logged;
    dispatch = createDispatchClient(clients, { pools: ["echo"], log });
    await eventually(
      "both were connected",
      () => lines.filter(({ fields }) => fields.event === "core.connected").length === 2,
    );
  }
  afterEach(async () => {
    dispatch?.close();
    for (const client of clients ?? []) client.close();
    await stopCores();
  });

  const pidsOf = async ({ client }: TestCore) =>
    (await client.workers.listWorkers({ pool: "echo" })).workers.map(({ pid }) => String(pid));
  const working = async ({ client }: TestCore) => (await client.pools.getPool({ pool: "echo" })).pool!.workersWorking;
  const runs = (core: TestCore, count: number) =>
    eventually(`${count} calls ran there`, async () => (await working(core)) === count);
  /** Asks until the client knows of it: health is watched, and news takes a moment. */
  const settled = (core: TestCore) =>
    eventually("calls went to that core only", async () => {
      const pids = await pidsOf(core);
      const answers = await Promise.all([1, 2].map(() => open(dispatch, "pid").ended));
      return answers.every((pid) => pids.includes(pid));
    });

  it("shares the calls out, and sends them where the least is to do", async () => {
    await begin();
    const calls = [1, 2, 3, 4].map(() => open(dispatch, "sleep 2000"));
    await runs(one, 2);
    await runs(other, 2);
    await Promise.all(calls.map(({ ended }) => ended));
  });

  it("leaves out a core whose pool is not healthy", async () => {
    await begin();
    await one.client.pools.pausePool({ pool: "echo" });
    await settled(other);
    await one.client.pools.resumePool({ pool: "echo" });
    const pids = await pidsOf(one);
    await eventually("it came back", async () => pids.includes(await open(dispatch, "pid").ended));
  });

  it("takes a call that one core refuses to the other, and fails it with the reason of the last", async () => {
    await begin({ max_queue_size: 1 });
    // Two at work and one waiting each: the pools are full.
    const calls = [1, 2, 3, 4, 5].map(() => open(dispatch, "sleep 600"));
    await runs(one, 2);
    await runs(other, 2);
    const last = open(dispatch, "sleep 1");
    expect((await failure(open(dispatch, "echo"))).reason).to.equal("QUEUE_FULL");
    await Promise.all([...calls, last].map(({ ended }) => ended));
  });

  it("tells the core's own reason if no pool is healthy", async () => {
    await begin();
    await Promise.all([one, other].map(({ client }) => client.pools.pausePool({ pool: "echo" })));
    expect((await failure(open(dispatch, "echo"))).reason).to.equal("POOL_PAUSED");
    const unknown = await failure(open(dispatch, "echo", { pool: "nobody" }));
    expect(unknown.reason).to.equal("POOL_NOT_FOUND");
  });

  it("sends a call again elsewhere whose core goes away, if that does no harm", async () => {
    await begin();
    const calls = [1, 2].map(() => open(dispatch, "sleep 500", { idempotent: true }));
    const once = [1, 2].map(() => open(dispatch, "sleep 500"));
    await runs(one, 2);
    await runs(other, 2);
    await one.core.stop(planEnd(0));
    for (const { ended } of calls) expect(await ended).to.equal("slept");
    const results = await Promise.allSettled(once.map(({ ended }) => ended));
    expect(results.map(({ status }) => status).sort()).to.deep.equal(["fulfilled", "rejected"]);
    expect(lines.map(({ fields }) => fields.event)).to.include("core.lost");
  });

  it("moves a request that had not arrived completely", async () => {
    await begin();
    const calls = [1, 2].map((at) => open(dispatch, `echo ${at},`, { moreBody: true }));
    for (const { handle } of calls) handle.sendBody(Buffer.from("more,"), false);
    await eventually("both cores had one", async () => {
      const stats = await Promise.all([one, other].map(({ client }) => client.stats.getStats({})));
      return stats.every((answer) => answer.stats!.dispatchStreams === 1);
    });
    await one.core.stop(planEnd(0));
    await eventually("the core was missed", () => lines.some(({ fields }) => fields.event === "core.lost"));
    for (const { handle } of calls) handle.sendBody(Buffer.from("end"), true);
    expect(await Promise.all(calls.map(({ ended }) => ended))).to.deep.equal(["1,more,end", "2,more,end"]);
  });

  it("loses nothing when a core ends gracefully, not even a request that is still on its way", async () => {
    await begin();
    const slow = [1, 2].map(() => open(dispatch, "sleep 500"));
    const arriving = [1, 2].map((at) => open(dispatch, `echo ${at},`, { moreBody: true }));
    await runs(one, 1);
    const stopped = one.core.stop(planEnd(10_000));
    const others = Array.from({ length: 20 }, (_, at) => open(dispatch, `echo ${at}`).ended);
    for (const { handle } of arriving) handle.sendBody(Buffer.from("end"), true);
    await Promise.all([...slow, ...arriving].map(({ ended }) => ended));
    expect((await Promise.all(others)).map(Number)).to.deep.equal(others.map((_, at) => at));
    await stopped;
    expect(await open(dispatch, "echo after").ended).to.equal("after");
  });

  it("waits a moment for any core when all are gone, and says whom it asked", async () => {
    const address = `tcp://127.0.0.1:${await freePort()}`;
    const lonely = [connectCore(address), connectCore(`tcp://127.0.0.1:${await freePort()}`)];
    const client = createDispatchClient(lonely, { pools: ["echo"] });
    const lost = open(client, "echo");
    const error = await failure(lost);
    expect(error.reason).to.equal("UNAVAILABLE");
    expect(error.message).to.contain(`none of the cores (${address}, `);
    const waiting = open(client, "echo early,", { moreBody: true });
    waiting.handle.sendBody(Buffer.from("late"), true);
    await startCore({ echo: { num_workers: 1 } }, { listen: address });
    expect(await waiting.ended).to.equal("early,late");
    const cancelled = open(client, "sleep 60000");
    cancelled.handle.cancel();
    await eventually("nothing was open", () => client.openCalls === 0);
    client.close();
    for (const one of lonely) one.close();
  });
});
