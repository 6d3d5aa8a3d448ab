import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { needsPhp } from "../support/php.ts";
import { startPool, stopPools } from "../support/test-pool.ts";

describe("Limits of a pool", () => {
  before(function () {
    needsPhp(this, "posix");
  });
  afterEach(stopPools);

  describe("max_jobs", () => {
    it("replaces a worker after so many calls, without a gap", async () => {
      const pool = await startPool({ maxJobs: 3 });
      const pids: number[] = [];
      for (let round = 0; round < 9; round++) pids.push((await pool.call("pid")).pid);
      const callsOf = [...new Set(pids)].map((pid) => pids.filter((one) => one === pid).length);
      expect(callsOf).to.deep.equal([3, 3, 3]);
      await eventually("three workers ended", () => pool.eventsOf("worker.stopped").length === 3);
      for (const { reason } of pool.eventsOf("worker.stopped")) expect(reason).to.equal("max_jobs");
      expect(pool.pool.figures.workersEnded.get("max_jobs")).to.equal(3);
      await pool.whole(1);
    });

    it("serves every call while all workers are replaced all the time", async () => {
      const pool = await startPool({ maxJobs: 1, numWorkers: 2 });
      const replies = await Promise.all(Array.from({ length: 20 }, (_, at) => pool.call(`echo ${at}`)));
      expect(replies.map(({ body }) => Number(body))).to.deep.equal(Array.from({ length: 20 }, (_, at) => at));
      expect(new Set(replies.map(({ pid }) => pid)).size).to.equal(20);
      await pool.whole(2);
    });
  });

  describe("supervisor", () => {
    it("replaces a worker that lived too long, after its successor is ready", async () => {
      const pool = await startPool({ supervisor: { ttlMs: 300 } });
      const [old] = pool.pids;
      const stopped = await pool.event("worker.stopped", ({ pid }) => pid === old);
      expect(stopped.reason).to.equal("ttl");
      const ready = pool.eventsOf("worker.ready").find(({ pid }) => pid !== old)!;
      expect(ready.revision, "the successor came first").to.be.lessThan(stopped.revision);
    });

    it("lets a call finish in a worker that lived too long", async () => {
      const pool = await startPool({ supervisor: { ttlMs: 200 } });
      const held = await pool.hold();
      await eventually("the successor is ready", () => pool.pool.workers.length === 2);
      held.release();
      expect((await held.reply).body).to.equal("released");
      const stopped = await pool.event("worker.stopped", ({ pid }) => pid === held.pid);
      expect(stopped.reason).to.equal("ttl");
    });

    it("replaces a worker that nobody used for too long, but none that was never used", async () => {
      const pool = await startPool({ numWorkers: 2, supervisor: { idleTtlMs: 150, watchTickMs: 20 } });
      const used = (await pool.call("pid")).pid;
      const [unused] = pool.pids.filter((pid) => pid !== used);
      const stopped = await pool.event("worker.stopped", ({ pid }) => pid === used);
      expect(stopped.reason).to.equal("idle_ttl");
      await pool.whole(2);
      expect(pool.pids).to.include(unused);
    });

    it("replaces a worker that takes too much memory, after its call", async () => {
      const pool = await startPool({ supervisor: { workerMemoryBytesMax: 64 << 20, watchTickMs: 20 } });
      const leaking = (await pool.call("leak 40")).pid;
      expect((await pool.call("leak 40")).pid).to.equal(leaking);
      const stopped = await pool.event("worker.stopped", ({ pid }) => pid === leaking);
      expect(stopped.reason).to.equal("memory");
      expect(pool.line("reached its limit (memory)")!.fields.memory_bytes).to.be.greaterThan(64 << 20);
      await pool.whole(1);
      expect(pool.pids).to.not.include(leaking);
    });

    it("does not lose a worker whose successor cannot boot", async () => {
      const probe = await startPool();
      const file = probe.file();
      const pool = await startPool({ script: `boots-while.php ${file}`, supervisor: { ttlMs: 300, watchTickMs: 30 } });
      const [old] = pool.pids;
      const { rmSync, writeFileSync } = await import("node:fs");
      rmSync(file);
      await pool.event("worker.boot_failed");
      expect((await pool.call("pid")).pid).to.equal(old);
      writeFileSync(file, "");
      await pool.event("worker.stopped", ({ pid, reason }) => pid === old && reason === "ttl");
    });
  });

  describe("exec_ttl", () => {
    it("counts anew with every piece of a stream", async () => {
      const pool = await startPool({ supervisor: { execTtlMs: 300 } });
      const { call, parts, reply } = pool.open("stream-forever");
      await new Promise((resolve) => setTimeout(resolve, 500));
      const seen = parts.length;
      await eventually("the stream still flowed", () => parts.length > seen);
      call.cancel();
      await pool.whole();
      void reply;
    });

    it("kills a worker at once, and the next call finds another", async () => {
      const pool = await startPool({ supervisor: { execTtlMs: 150 } });
      const [first, second] = [pool.open("sleep 20000"), pool.open("pid")];
      const error = await first.reply.then(
        () => undefined,
        (thrown) => thrown,
      );
      expect(error?.reason).to.equal("EXEC_TIMEOUT");
      expect((await second.reply).pid).to.not.equal(Number(error.metadata.pid));
      const killed = await pool.event("worker.killed");
      expect(killed.reason).to.equal("EXEC_TIMEOUT");
      expect(pool.pool.figures.failures.get("EXEC_TIMEOUT")).to.equal(1);
    });
  });

  describe("memory_limit of PHP", () => {
    it("shows as such", async () => {
      const pool = await startPool();
      const error = await pool.failure("out-of-memory");
      expect(error.reason).to.equal("WORKER_OOM");
      expect(error.message).to.contain("memory_limit");
      expect(error.metadata.last_output).to.contain("Allowed memory size of 8388608 bytes exhausted");
      await pool.whole();
    });
  });

  describe("queue", () => {
    it("refuses at once what is beyond its length, and serves what waits in order", async () => {
      const pool = await startPool({ maxQueueLength: 2 });
      const held = await pool.hold();
      const waiting = [pool.open("echo one"), pool.open("echo two")];
      const error = await pool.failure("echo three");
      expect(error.reason).to.equal("QUEUE_FULL");
      expect(error.retryAfterMs).to.be.greaterThan(0);
      expect(pool.pool.queueLength).to.equal(2);
      held.release();
      const order: string[] = [];
      await Promise.all(waiting.map(({ reply }) => reply.then(({ body }) => order.push(body))));
      expect(order).to.deep.equal(["one", "two"]);
      expect(pool.eventsOf("pool.queue_full")).to.have.length(1);
      expect(pool.pool.figures.failures.get("QUEUE_FULL")).to.equal(1);
    });

    it("records one event of a flood, not one per call", async () => {
      const pool = await startPool({ maxQueueLength: 1 });
      const held = await pool.hold();
      const waiting = pool.open("echo");
      for (let round = 0; round < 50; round++) await pool.failure("echo");
      expect(pool.eventsOf("pool.queue_full")).to.have.length(1);
      expect(pool.pool.figures.failures.get("QUEUE_FULL")).to.equal(50);
      held.release();
      await waiting.reply;
    });

    it("gives up on what waited too long", async () => {
      const pool = await startPool({ queueWaitMs: 100 });
      const held = await pool.hold();
      const startedMs = performance.now();
      const error = await pool.failure("echo");
      expect(error.reason).to.equal("QUEUE_WAIT_EXCEEDED");
      expect(performance.now() - startedMs).to.be.within(90, 1_000);
      expect(pool.pool.queueLength).to.equal(0);
      expect(pool.eventsOf("pool.queue_timeout")).to.have.length(1);
      held.release();
      expect((await held.reply).body).to.equal("released");
    });

    it("forgets a call whose caller left", async () => {
      const pool = await startPool();
      const held = await pool.hold();
      const { call } = pool.open("echo");
      expect(pool.pool.queueLength).to.equal(1);
      call.cancel();
      expect(pool.pool.queueLength).to.equal(0);
      expect(pool.pool.callsOpen).to.equal(1);
      held.release();
      await held.reply;
      expect(pool.pool.callsOpen).to.equal(0);
      expect(pool.pool.figures.failures.get("CANCELLED")).to.equal(1);
    });

    it("refuses an empty payload, which workers would take for no call at all", async () => {
      const pool = await startPool();
      expect((await pool.failure("")).reason).to.equal("INVALID_REQUEST");
    });
  });
});
