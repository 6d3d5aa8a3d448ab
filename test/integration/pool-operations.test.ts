import { rmSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import { Deadline } from "../../src/async/deadline.ts";
import type { RrError } from "../../src/errors.ts";
import { eventually } from "../support/eventually.ts";
import { needsPhp } from "../support/php.ts";
import { isAlive, preparePool, startPool, stopPools, type TestPool } from "../support/test-pool.ts";

async function refusal(operation: () => Promise<unknown>): Promise<RrError> {
  try {
    await operation();
  } catch (thrown) {
    return thrown as RrError;
  }
  throw new Error("it was expected to be refused");
}

/** Calls one after the other until told to end; resolves with the errors. */
function keepCalling(pool: TestPool, lanes: number): { end: () => Promise<{ calls: number; errors: RrError[] }> } {
  const errors: RrError[] = [];
  let calls = 0;
  let ended = false;
  const running = Array.from({ length: lanes }, async () => {
    while (!ended) {
      await pool.call("pid").catch((error: RrError) => errors.push(error));
      calls++;
    }
  });
  return {
    end: async () => {
      ended = true;
      await Promise.all(running);
      return { calls, errors };
    },
  };
}

describe("Operations on a pool", () => {
  before(function () {
    needsPhp(this, "posix");
  });
  afterEach(stopPools);

  describe("scale", () => {
    it("boots and retires without failing a call", async () => {
      const pool = await startPool({ numWorkers: 2 });
      const load = keepCalling(pool, 4);
      await pool.pool.scale(6);
      expect(pool.pool.workers.length).to.be.at.least(6);
      await pool.pool.scale(2);
      await eventually("two were left", () => pool.pool.workers.length === 2);
      const { calls, errors } = await load.end();
      expect(errors).to.deep.equal([]);
      expect(calls).to.be.greaterThan(20);
      expect(pool.eventsOf("pool.scaled").map(({ attributes }) => attributes)).to.deep.equal([
        { from: "2", to: "6" },
        { from: "6", to: "2" },
      ]);
    });

    it("lets running calls finish in workers that go", async () => {
      const pool = await startPool({ numWorkers: 3 });
      const held = await Promise.all([pool.hold(), pool.hold(), pool.hold()]);
      await pool.pool.scale(1);
      expect(pool.pool.workers).to.have.length(3);
      for (const { release } of held) release();
      for (const { reply } of held) expect((await reply).body).to.equal("released");
      await pool.whole(1);
    });

    it("names the allowed range", async () => {
      const pool = await startPool({ numWorkersMax: 5 });
      for (const workers of [0, -1, 6]) {
        const error = await refusal(async () => pool.pool.scale(workers));
        expect(error.reason).to.equal("INVALID_REQUEST");
        expect(error.violations).to.have.length(1);
        expect(error.violations[0]!.field).to.equal("workers");
        expect(error.message).to.match(workers === 0 ? /paused/ : /expected 1 to 5/);
      }
    });

    it("goes to 0 only while paused, and comes back when resumed", async () => {
      const pool = await startPool({ numWorkers: 2 });
      pool.pool.pause();
      await pool.pool.scale(0);
      await eventually("nobody was left", () => pool.pool.workers.length === 0);
      await pool.pool.resume();
      await pool.whole(2);
      expect((await pool.call("echo back")).body).to.equal("back");
    });

    it("leaves the pool as it was when the new workers cannot boot", async () => {
      const first = await startPool();
      const file = first.file();
      const pool = await startPool({ script: `boots-while.php ${file}`, numWorkers: 2 });
      rmSync(file);
      const error = await refusal(() => pool.pool.scale(4));
      expect(error.reason).to.equal("BOOT_FAILED");
      expect(pool.pool.workersWanted).to.equal(2);
      expect(pool.eventsOf("pool.scale_failed")).to.have.length(1);
      expect((await pool.call("echo on")).body).to.equal("on");
    });
  });

  describe("reset", () => {
    it("replaces every worker without failing a call", async () => {
      const pool = await startPool({ numWorkers: 2 });
      const before = pool.pids;
      const load = keepCalling(pool, 4);
      for (let round = 0; round < 3; round++) await pool.pool.reset();
      const { errors } = await load.end();
      expect(errors).to.deep.equal([]);
      await pool.whole(2);
      expect(pool.pids).to.not.include.members(before);
      expect(pool.pool.generation).to.equal(4);
      expect(pool.pool.workers.map(({ generation }) => generation)).to.deep.equal([4, 4]);
      expect(pool.eventsOf("pool.reset")).to.have.length(3);
    });

    it("lets a running call finish in the old generation while the new one serves", async () => {
      const pool = await startPool();
      const held = await pool.hold();
      await pool.pool.reset();
      const { pid } = await pool.call("pid");
      expect(pid).to.not.equal(held.pid);
      held.release();
      expect((await held.reply).pid).to.equal(held.pid);
      await pool.whole(1);
    });

    it("kills what still runs long after", async () => {
      const pool = await startPool({ resetTimeoutMs: 150 });
      const held = await pool.hold();
      await pool.pool.reset();
      const error = await held.reply.then(
        () => undefined,
        (thrown: RrError) => thrown,
      );
      expect(error?.reason).to.equal("WORKER_EXITED");
      await pool.whole(1);
    });

    it("leaves the old generation serving when the new one cannot boot", async () => {
      const first = await startPool();
      const file = first.file();
      const pool = await startPool({ script: `boots-while.php ${file}`, numWorkers: 2 });
      const before = pool.pids;
      rmSync(file);
      const error = await refusal(() => pool.pool.reset());
      expect(error.reason).to.equal("BOOT_FAILED");
      expect(error.message).to.contain("the file is not there");
      expect(pool.eventsOf("pool.reset_failed")).to.have.length(1);
      expect(pool.pool.generation).to.equal(1);
      expect(pool.pids).to.have.members(before);
      expect((await pool.call("echo still")).body).to.equal("still");
      writeFileSync(file, "");
      await pool.pool.reset();
      await pool.whole(2);
      expect(pool.pool.generation).to.equal(2);
    });

    it("replaces workers that ended while it booted", async () => {
      const pool = await startPool({ numWorkers: 2 });
      const reset = pool.pool.reset();
      for (const pid of pool.pids) process.kill(pid, "SIGKILL");
      await reset;
      await pool.whole(2);
      expect(pool.pool.workers.map(({ generation }) => generation)).to.deep.equal([2, 2]);
    });
  });

  describe("pause and resume", () => {
    it("refuses new and waiting calls, and finishes running ones", async () => {
      const pool = await startPool();
      const held = await pool.hold();
      const waiting = pool.open("echo");
      pool.pool.pause();
      expect(pool.pool.state).to.equal("paused");
      const reasons = await Promise.all([
        waiting.reply.catch((error: RrError) => error.reason),
        pool.failure("echo").then((error) => error.reason),
      ]);
      expect(reasons).to.deep.equal(["POOL_PAUSED", "POOL_PAUSED"]);
      held.release();
      expect((await held.reply).body).to.equal("released");
      await pool.pool.resume();
      expect((await pool.call("echo on")).body).to.equal("on");
      expect(pool.eventsOf("pool.paused", "pool.resumed").map(({ type }) => type)).to.deep.equal([
        "pool.paused",
        "pool.resumed",
      ]);
    });
  });

  describe("single workers", () => {
    it("adds and removes, but never the last", async () => {
      const pool = await startPool();
      await pool.pool.addWorker();
      expect(pool.pool.workers).to.have.length(2);
      const [first] = pool.pool.workers;
      await pool.pool.removeWorker(first);
      await pool.whole(1);
      expect(pool.pids).to.not.include(first!.pid);
      const error = await refusal(async () => pool.pool.removeWorker(undefined));
      expect(error.reason).to.equal("FAILED_PRECONDITION");
      expect((await pool.call("echo on")).body).to.equal("on");
    });

    it("restarts one: the successor first", async () => {
      const pool = await startPool();
      const [old] = pool.pool.workers;
      const successor = await pool.pool.restartWorker(old!);
      expect((await pool.call("pid")).pid).to.equal(successor.pid);
      const stopped = await pool.event("worker.stopped", ({ pid }) => pid === old!.pid);
      expect(stopped.reason).to.equal("restart");
      await pool.whole(1);
    });

    it("kills one at once, its call with it", async () => {
      const pool = await startPool();
      const held = await pool.hold();
      pool.pool.killWorker(pool.pool.worker(held.pid)!);
      const error = await held.reply.then(
        () => undefined,
        (thrown: RrError) => thrown,
      );
      expect(error?.reason).to.equal("WORKER_EXITED");
      expect(error?.message).to.contain("killed by an operator");
      await pool.whole(1);
    });
  });

  describe("stop", () => {
    it("finishes running calls, refuses new ones, leaves no process", async () => {
      const pool = await startPool({ numWorkers: 2 });
      const { pids } = pool;
      const held = await pool.hold();
      const stopping = pool.pool.stop(Deadline.after(5_000));
      expect((await pool.failure("echo")).reason).to.equal("DRAINING");
      held.release();
      expect((await held.reply).body).to.equal("released");
      await stopping;
      expect(pool.pool.state).to.equal("stopped");
      expect(pids.filter(isAlive)).to.deep.equal([]);
    });

    it("kills what does not finish in time", async () => {
      const pool = await startPool();
      const held = await pool.hold();
      const startedMs = performance.now();
      await pool.pool.stop(Deadline.after(100));
      expect(performance.now() - startedMs).to.be.lessThan(2_000);
      expect(isAlive(held.pid)).to.equal(false);
      const error = await held.reply.then(
        () => undefined,
        (thrown: RrError) => thrown,
      );
      expect(error?.reason).to.equal("DRAINING");
      expect(error?.metadata.begun).to.equal("true");
    });

    it("climbs the ladder: stop message, SIGTERM, SIGKILL", async () => {
      for (const [script, signal, climbs] of [
        ["worker.php", undefined, 0],
        ["ignores-stop-message.php", "SIGTERM", 1],
        ["ignores-stop.php", "SIGKILL", 2],
      ] as const) {
        const pool = await startPool({ script, stopGraceMs: 150 });
        await pool.pool.stop(Deadline.after(1_000));
        const [ended] = pool.eventsOf("worker.stopped", "worker.killed", "worker.exited");
        expect([script, ended?.attributes.signal]).to.deep.equal([script, signal]);
        const steps = pool.lines.filter(({ message }) => /sending SIGTERM|ignored SIGTERM: killing/.test(message));
        expect(steps, script).to.have.length(climbs);
      }
    });

    it("ends boots that are under way", async () => {
      const pool = preparePool({ script: "never-ready.php", bootTimeoutMs: 60_000 });
      const started = pool.pool.start().then(
        () => undefined,
        (thrown: RrError) => thrown,
      );
      await eventually("it boots", () => pool.pool.workersBooting === 1);
      await pool.pool.stop(Deadline.after(1_000));
      expect((await started)?.reason).to.equal("CANCELLED");
    });
  });
});
