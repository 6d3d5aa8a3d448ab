import { expect } from "chai";
import { Deadline } from "../../../src/async/deadline.ts";
import { FakePool, outcome } from "../../support/fake-pool.ts";

describe("Operations on a pool, by the clock of the test", () => {
  const pools: FakePool[] = [];
  async function start(overrides: ConstructorParameters<typeof FakePool>[0] = {}): Promise<FakePool> {
    const fake = await FakePool.start(overrides);
    pools.push(fake);
    return fake;
  }
  afterEach(async () => {
    for (const fake of pools.splice(0)) {
      await fake.stop();
      expect(fake.processes.alive, "no worker was left").to.deep.equal([]);
      expect(fake.clock.timers, "no timer was left").to.equal(0);
    }
  });

  describe("one after another, checked when their turn comes", () => {
    it("adds three workers when three are added at once", async () => {
      const { pool } = await start();
      await Promise.all([pool.addWorker(), pool.addWorker(), pool.addWorker()]);
      expect(pool.workersWanted).to.equal(4);
      expect(pool.workers).to.have.length(4);
    });

    it("removes as many as were asked for, and never the last", async () => {
      const { pool } = await start({ numWorkers: 3 });
      const outcomes = await Promise.all([1, 2, 3].map(() => outcome(pool.removeWorker(undefined))));
      expect(outcomes).to.deep.equal(["done", "done", "FAILED_PRECONDITION"]);
      expect(pool.workersWanted).to.equal(1);
    });

    it("adds no more than the limit, whoever comes first", async () => {
      const { pool } = await start({ numWorkersMax: 2 });
      expect(await Promise.all([outcome(pool.addWorker()), outcome(pool.addWorker())])).to.deep.equal([
        "done",
        "INVALID_REQUEST",
      ]);
    });

    it("never throws while it is asked", async () => {
      const fake = await start();
      for (const refused of [() => fake.pool.scale(99), () => fake.pool.scale(-1), () => fake.pool.scale(0)])
        expect(await outcome(refused())).to.equal("INVALID_REQUEST");
    });

    it("does not scale a pool to 0 that was resumed before the turn came", async () => {
      const fake = await start({ numWorkers: 2 });
      fake.processes.ready = false;
      const reset = fake.pool.reset();
      await fake.settle();
      fake.pool.pause();
      const resumed = outcome(fake.pool.resume());
      const scaled = outcome(fake.pool.scale(0));
      fake.processes.letBoot();
      await reset;
      expect([await resumed, await scaled]).to.deep.equal(["done", "INVALID_REQUEST"]);
      expect([fake.pool.state, fake.pool.workersWanted]).to.deep.equal(["serving", 2]);
    });

    it("brings workers back for a pool that was scaled to 0 before it was resumed", async () => {
      const fake = await start({ numWorkers: 2 });
      fake.pool.pause();
      const scaled = fake.pool.scale(0);
      const resumed = fake.pool.resume();
      await Promise.all([scaled, resumed]);
      expect([fake.pool.state, fake.pool.workersWanted]).to.deep.equal(["serving", 2]);
    });

    it("removes nobody from a pool that is stopping", async () => {
      const fake = await start({ numWorkers: 2 });
      const call = fake.call("held");
      await fake.settle();
      const stopped = fake.pool.stop(Deadline.after(1_000, fake.clock));
      expect(await outcome(fake.pool.removeWorker(undefined))).to.equal("DRAINING");
      expect(fake.pool.workersWanted).to.equal(2);
      fake.processes.busy[0]!.answer("late");
      await stopped;
      expect(call.told).to.deep.equal(["late", "settled"]);
    });

    it("restarts nobody who has gone meanwhile", async () => {
      const fake = await start({ numWorkers: 2 });
      const [worker] = fake.pool.workers;
      fake.processes.ready = false;
      const reset = fake.pool.reset();
      const restarted = outcome(fake.pool.restartWorker(worker!));
      await fake.settle();
      fake.processes.started[0]!.exit(0);
      await fake.settle();
      fake.processes.letBoot();
      await reset;
      expect(await restarted).to.equal("WORKER_NOT_FOUND");
    });
  });

  describe("pause and resume", () => {
    it("keeps a pause that comes while a resume boots workers", async () => {
      const fake = await start({ numWorkers: 2 });
      fake.pool.pause();
      await fake.pool.scale(0);
      await fake.settle();
      fake.processes.ready = false;
      const resumed = outcome(fake.pool.resume());
      await fake.settle();
      expect(fake.processes.booting).to.have.length(2);
      fake.pool.pause();
      expect(await resumed).to.equal("FAILED_PRECONDITION");
      expect([fake.pool.state, fake.pool.workersWanted]).to.deep.equal(["paused", 0]);
      expect(fake.processes.alive, "what it had begun to boot was ended").to.deep.equal([]);
    });

    it("keeps a pause that comes before the resume had its turn", async () => {
      const fake = await start();
      fake.pool.pause();
      fake.processes.ready = false;
      const reset = fake.pool.reset();
      await fake.settle();
      const resumed = outcome(fake.pool.resume());
      fake.pool.pause();
      expect(await resumed).to.equal("FAILED_PRECONDITION");
      fake.processes.letBoot();
      await reset;
      expect(fake.pool.state).to.equal("paused");
    });

    it("takes effect at once, while a reset boots", async () => {
      const fake = await start();
      fake.processes.ready = false;
      const reset = fake.pool.reset();
      await fake.settle();
      fake.pool.pause();
      expect(fake.call("refused").told).to.deep.equal(["POOL_PAUSED", "settled"]);
      fake.processes.letBoot();
      await reset;
      expect(fake.pool.state).to.equal("paused");
    });

    it("tells when the workers of a paused pool cannot boot, and stays paused", async () => {
      const fake = await start();
      fake.pool.pause();
      await fake.pool.scale(0);
      fake.processes.broken = true;
      expect(await outcome(fake.pool.resume())).to.equal("BOOT_FAILED");
      expect(fake.pool.state).to.equal("paused");
      expect(fake.eventsOf("pool.resume_failed")).to.have.length(1);
    });
  });

  describe("giving up", () => {
    for (const [what, operate] of [
      ["reset", (fake: FakePool, signal: AbortSignal) => fake.pool.reset(signal)],
      ["scale", (fake: FakePool, signal: AbortSignal) => fake.pool.scale(4, signal)],
      ["add", (fake: FakePool, signal: AbortSignal) => fake.pool.addWorker(signal)],
      ["restart", (fake: FakePool, signal: AbortSignal) => fake.pool.restartWorker(fake.pool.workers[0]!, signal)],
    ] as const)
      it(`ends what a ${what} has begun to boot and changes nothing`, async () => {
        const fake = await start({ numWorkers: 2 });
        const before = fake.readyPids;
        fake.processes.ready = false;
        const controller = new AbortController();
        const operation = outcome(operate(fake, controller.signal));
        await fake.settle();
        expect(fake.processes.booting).to.have.length.greaterThan(0);
        controller.abort();
        expect(await operation).to.equal("CANCELLED");
        await fake.settle();
        expect(fake.readyPids).to.deep.equal(before);
        expect([fake.pool.workersWanted, fake.pool.generation, fake.pool.workersBooting]).to.deep.equal([2, 1, 0]);
        expect(fake.processes.alive).to.have.length(2);
        expect(fake.eventsOf("pool.reset_failed", "pool.scale_failed", "pool.restart_failed")).to.deep.equal([]);
      });

    it("leaves one that waits for its turn at once", async () => {
      const fake = await start();
      fake.processes.ready = false;
      const reset = fake.pool.reset();
      const controller = new AbortController();
      const scaled = outcome(fake.pool.scale(3, controller.signal));
      await fake.settle();
      controller.abort();
      expect(await scaled).to.equal("CANCELLED");
      fake.processes.letBoot();
      await reset;
      expect(fake.pool.workersWanted).to.equal(1);
    });

    it("ends with the pool, in a word that sends the caller elsewhere", async () => {
      const fake = await start();
      fake.processes.ready = false;
      const operations = [outcome(fake.pool.reset()), outcome(fake.pool.scale(3))];
      await fake.settle();
      await fake.stop();
      expect(await Promise.all(operations)).to.deep.equal(["DRAINING", "DRAINING"]);
      expect(await outcome(fake.pool.reset())).to.equal("DRAINING");
    });
  });

  it("ends the other boots when one fails", async () => {
    const fake = await start();
    fake.processes.ready = false;
    const scaled = outcome(fake.pool.scale(4));
    await fake.settle();
    fake.processes.booting[1]!.exit(1);
    expect(await scaled).to.equal("BOOT_FAILED");
    await fake.settle();
    expect(fake.processes.alive).to.have.length(1);
    expect(fake.eventsOf("pool.scale_failed")).to.have.length(1);
  });

  it("tells a failed restart as what it is", async () => {
    const fake = await start();
    fake.processes.broken = true;
    expect(await outcome(fake.pool.restartWorker(fake.pool.workers[0]!))).to.equal("BOOT_FAILED");
    expect(fake.eventsOf("pool.restart_failed", "pool.scale_failed")).to.deep.equal(["pool.restart_failed"]);
    expect(fake.readyPids).to.have.length(1);
  });

  describe("start", () => {
    it("is not undone by a stop that came while it booted", async () => {
      const fake = new FakePool({ numWorkers: 2 });
      fake.processes.ready = false;
      const started = outcome(fake.pool.start());
      await fake.settle();
      const stopped = fake.pool.stop(Deadline.after(1_000, fake.clock));
      expect(await started).to.equal("CANCELLED");
      await stopped;
      expect(fake.pool.state).to.equal("stopped");
      expect(fake.processes.alive).to.deep.equal([]);
    });

    it("does not make a pool serve again that is draining", async () => {
      const fake = new FakePool();
      pools.push(fake);
      fake.processes.ready = false;
      const started = fake.pool.start();
      await fake.settle();
      fake.pool.drain();
      fake.processes.letBoot();
      await started;
      expect(fake.pool.state).to.equal("draining");
      expect(fake.call("refused").told).to.deep.equal(["DRAINING", "settled"]);
    });

    it("comes before what is asked for meanwhile", async () => {
      const fake = new FakePool();
      pools.push(fake);
      expect(await outcome(fake.pool.scale(3)), "before it has begun").to.equal("STARTING");
      fake.processes.ready = false;
      const started = fake.pool.start();
      const scaled = fake.pool.scale(3);
      await fake.settle();
      expect(fake.processes.started).to.have.length(1);
      fake.processes.ready = true;
      fake.processes.letBoot();
      await Promise.all([started, scaled]);
      expect(fake.pool.workers).to.have.length(3);
    });
  });

  describe("workers that are to go and do not return from their call", () => {
    const RETIRE_MS = 60_000;
    for (const [why, go] of [
      ["scale", (fake: FakePool) => fake.pool.scale(1)],
      ["restart", (fake: FakePool) => fake.pool.restartWorker(fake.pool.workers[0]!)],
      ["remove", (fake: FakePool) => fake.pool.removeWorker(fake.pool.workers[0])],
    ] as const)
      it(`are killed at the deadline (${why})`, async () => {
        const fake = await start({ numWorkers: 2, retireTimeoutMs: RETIRE_MS });
        const calls = [fake.call("one"), fake.call("two")];
        await fake.settle();
        const first = fake.pool.workers[0]!;
        await go(fake);
        await fake.clock.advanceAsync(RETIRE_MS - 1);
        expect(first.state).to.equal("working");
        await fake.clock.advanceAsync(1);
        await fake.settle();
        expect(first.state).to.equal("exited");
        expect(calls[0]!.told).to.deep.equal(["WORKER_EXITED", "settled"]);
        expect(calls[1]!.told).to.deep.equal([]);
      });

    it("are killed at the deadline (ttl)", async () => {
      const fake = await start({ retireTimeoutMs: RETIRE_MS, supervisor: { ttlMs: 1_000, watchTickMs: 100 } });
      const { told } = fake.call("long");
      await fake.clock.advanceAsync(1_100);
      await fake.settle();
      expect(fake.pool.workers.map(({ leaving }) => leaving)).to.deep.equal(["ttl", ""]);
      await fake.clock.advanceAsync(RETIRE_MS + 100);
      expect(told).to.deep.equal(["WORKER_EXITED", "settled"]);
      const [killed] = fake.events.all().filter(({ type }) => type === "worker.killed");
      expect(killed?.message).to.contain("it was to go (ttl)").and.contain("pool.retire_timeout");
    });

    it("keep the sooner of two deadlines", async () => {
      const fake = await start({ numWorkers: 2, retireTimeoutMs: RETIRE_MS, resetTimeoutMs: 5_000 });
      const calls = [fake.call("one"), fake.call("two")];
      await fake.settle();
      await fake.pool.scale(1);
      await fake.pool.reset();
      await fake.clock.advanceAsync(5_000);
      await fake.settle();
      for (const { told } of calls) expect(told).to.deep.equal(["WORKER_EXITED", "settled"]);
    });

    it("may finish before it", async () => {
      const fake = await start({ numWorkers: 2, retireTimeoutMs: RETIRE_MS });
      const calls = [fake.call("one"), fake.call("two")];
      await fake.settle();
      const leaving = await fake.pool.scale(1);
      expect(leaving).to.have.length(1);
      await fake.clock.advanceAsync(RETIRE_MS - 1);
      for (const worker of fake.processes.busy) worker.answer("done");
      await Promise.all(leaving.map(({ exited }) => exited));
      for (const { told } of calls) expect(told).to.deep.equal(["done", "settled"]);
      expect(fake.pool.workers).to.have.length(1);
    });
  });
});
