import { rmSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { needsPhp } from "../support/php.ts";
import { startPool, stopPools, type TestPool } from "../support/test-pool.ts";

/** Code on disk that does not boot, while workers with the code from before serve. */
describe("A degraded pool", function () {
  this.timeout(20_000);
  before(function () {
    needsPhp(this);
  });
  afterEach(stopPools);

  const state = (pool: TestPool) => pool.pool.state;

  it("is one whose reset failed, until the next one succeeds", async () => {
    const file = await fileOf();
    const pool = await startPool({ script: `boots-while.php ${file}`, numWorkers: 2 });
    const { pids } = pool;
    rmSync(file);
    await pool.pool.reset().catch(() => {});
    expect(state(pool)).to.equal("degraded");
    expect(pool.pool.stateReason).to.match(/^the reset of \d{4}-\d\d-\d\dT[\d:]+Z failed: /);
    expect(pool.pool.stateReason).to.contain("the file is not there");
    expect(pool.pids).to.deep.equal(pids);
    expect((await pool.call("echo still")).body).to.equal("still");
    // A call of a worker from before proves nothing.
    expect(state(pool)).to.equal("degraded");
    expect(pool.eventsOf("pool.degraded").map(({ message }) => message)).to.deep.equal([pool.pool.stateReason]);
    writeFileSync(file, "");
    await pool.pool.reset();
    expect([state(pool), pool.pool.stateReason]).to.deep.equal(["serving", ""]);
  });

  it("does not recycle the workers that it has, and does again when new ones boot", async () => {
    const file = await fileOf();
    const pool = await startPool({ script: `boots-while.php ${file}`, numWorkers: 2, maxJobs: 3 });
    const { pids } = pool;
    rmSync(file);
    for (let call = 0; call < 20; call++) expect((await pool.call(`echo ${call}`)).body).to.equal(String(call));
    await eventually("it was degraded", () => state(pool) === "degraded");
    for (let call = 0; call < 20; call++) await pool.call("echo on");
    expect(pool.pids.every((pid) => pids.includes(pid))).to.equal(true);
    expect(pool.pids.length).to.be.greaterThan(0);
    expect(pool.pool.stateReason).to.contain("new workers do not boot since");
    writeFileSync(file, "");
    await eventually("it recovered", () => state(pool) === "serving", 15_000);
    await pool.event("pool.recovered");
    for (let call = 0; call < 20; call++) await pool.call("echo again");
    await eventually("the workers were replaced", () => !pool.pids.some((pid) => pids.includes(pid)));
    await pool.whole(2);
  });

  it("is one that could not be scaled up, and can be paused", async () => {
    const file = await fileOf();
    const pool = await startPool({ script: `boots-while.php ${file}`, numWorkers: 1 });
    rmSync(file);
    await pool.pool.scale(3).catch(() => {});
    expect(state(pool)).to.equal("degraded");
    pool.pool.pause();
    expect(state(pool)).to.equal("paused");
    await pool.pool.resume();
    expect(state(pool)).to.equal("degraded");
  });
});

/** A file that lets workers boot as long as it is there. */
async function fileOf(): Promise<string> {
  return (await startPool()).file();
}
