import { expect } from "chai";
import fc from "fast-check";
import { type FakeCall, FakePool, outcome } from "../../support/fake-pool.ts";

/** What can happen to a pool; numbers choose among what is there. */
type Act =
  | { act: "call"; idempotent: boolean; cancelled: boolean }
  | { act: "answer" | "die" | "error" | "stream" | "kill" | "restart" | "remove" | "cut" | "giveUp"; which: number }
  | { act: "scale"; workers: number }
  | { act: "boots" | "breaks"; works: boolean }
  | { act: "add" | "reset" | "pause" | "resume" | "letBoot" }
  | { act: "wait"; ms: number };

const which = fc.nat(20);
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constant("call" as const),
      idempotent: fc.boolean(),
      cancelled: fc.nat(9).map((n) => n === 0),
    }),
  },
  { weight: 6, arbitrary: fc.record({ act: fc.constant("answer" as const), which }) },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constantFrom("die", "error", "stream", "kill", "restart", "remove", "cut", "giveUp"),
      which,
    }),
  },
  { weight: 2, arbitrary: fc.record({ act: fc.constant("scale" as const), workers: fc.integer({ min: -1, max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constantFrom("boots", "breaks"), works: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constantFrom("add", "reset", "pause", "resume", "letBoot") }) },
  {
    weight: 3,
    arbitrary: fc.record({ act: fc.constant("wait" as const), ms: fc.constantFrom(0, 0, 0, 1, 50, 1_000, 6_000) }),
  },
) as fc.Arbitrary<Act>;

const RUNS = 2_000;

/** A pool, what was asked of it, and what must hold whatever happens in whatever order. */
class Model {
  readonly fake: FakePool;
  readonly calls: FakeCall[] = [];
  readonly cancelled = new Set<FakeCall>();
  readonly operations: Promise<string>[] = [];
  readonly controllers: AbortController[] = [];

  constructor(fake: FakePool) {
    this.fake = fake;
  }

  #operate(operation: (signal: AbortSignal) => Promise<unknown>): void {
    const controller = new AbortController();
    this.controllers.push(controller);
    this.operations.push(outcome(operation(controller.signal)));
  }

  #cancel(call: FakeCall | undefined): void {
    if (!call || call.call.ended) return;
    this.cancelled.add(call);
    call.call.cancel();
  }

  do(one: Act): void {
    const { pool, processes } = this.fake;
    const pick = <Item>(items: readonly Item[], at: number): Item | undefined => items[at % items.length];
    switch (one.act) {
      case "call": {
        const call = this.fake.call("x", { idempotent: one.idempotent });
        this.calls.push(call);
        if (one.cancelled) this.#cancel(call);
        return;
      }
      case "giveUp":
        if (one.which % 2 === 0) return pick(this.controllers, one.which)?.abort();
        return this.#cancel(pick(this.calls, one.which));
      case "answer":
        return pick(processes.busy, one.which)?.answer("done");
      case "error":
        return pick(processes.busy, one.which)?.error("failed");
      case "stream":
        return pick(processes.busy, one.which)?.piece("piece");
      case "die":
        return pick(processes.alive, one.which)?.exit(1);
      case "cut": {
        const worker = pick(processes.alive, one.which);
        if (worker) worker.pipes.writable = false;
        return;
      }
      case "kill": {
        const worker = pick(pool.workers, one.which);
        return worker && pool.killWorker(worker);
      }
      case "restart": {
        const worker = pick(pool.workers, one.which);
        if (worker) this.#operate((signal) => pool.restartWorker(worker, signal));
        return;
      }
      case "remove": {
        const worker = one.which % 3 === 0 ? undefined : pick(pool.workers, one.which);
        return this.#operate((signal) => pool.removeWorker(worker, signal));
      }
      case "scale":
        return this.#operate((signal) => pool.scale(one.workers, signal));
      case "add":
        return this.#operate((signal) => pool.addWorker(signal));
      case "reset":
        return this.#operate((signal) => pool.reset(signal));
      case "resume":
        return this.#operate((signal) => pool.resume(signal));
      case "pause":
        return pool.pause();
      case "boots":
        processes.ready = one.works;
        return;
      case "breaks":
        processes.broken = !one.works;
        return;
      case "letBoot":
        return processes.letBoot();
    }
  }

  /** Everything works again, and everybody gets what he waits for. */
  async recover(): Promise<void> {
    const { processes, pool, clock } = this.fake;
    processes.ready = true;
    processes.broken = false;
    processes.onRequest = (worker) => queueMicrotask(() => worker.answer("done"));
    processes.letBoot();
    for (const worker of processes.busy) worker.answer("done");
    // The longest pause between boots.
    await clock.advanceAsync(31_000);
    this.#operate((signal) => pool.resume(signal));
    await clock.advanceAsync(7_000);
  }

  async check(): Promise<void> {
    const { pool, processes, clock } = this.fake;
    for (const done of await Promise.all(this.operations))
      expect(done).to.be.oneOf([
        "done",
        "CANCELLED",
        "INVALID_REQUEST",
        "FAILED_PRECONDITION",
        "WORKER_NOT_FOUND",
        "BOOT_FAILED",
        "BOOT_TIMEOUT",
      ]);
    for (const call of this.calls) {
      const ends = call.told.filter((one) => !one.endsWith("+") && one !== "settled");
      expect(ends, `${call.told}`).to.have.length(this.cancelled.has(call) ? 0 : 1);
      expect(call.told.at(-1)).to.equal("settled");
      expect(call.told.filter((one) => one === "settled")).to.have.length(1);
    }
    expect(pool.callsOpen, "calls").to.equal(0);
    expect(pool.state).to.equal("serving");
    expect(this.fake.readyPids, "ready workers").to.have.length(pool.workersWanted);
    expect(pool.workers, "listed workers").to.have.length(pool.workersWanted);
    expect(pool.workersBooting).to.equal(0);
    expect(processes.alive.map(({ pid }) => pid)).to.have.members(this.fake.readyPids);
    const served = this.fake.call("served");
    await clock.advanceAsync(10);
    expect(served.told).to.deep.equal(["done", "settled"]);
  }
}

describe("A pool, whatever happens to it", function () {
  this.timeout(60_000);

  it("ends every call once, keeps every wish, is whole afterwards and leaves nothing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 25 }), async (acts) => {
        const fake = await FakePool.start({
          numWorkers: 2,
          maxJobs: 4,
          queueWaitMs: 5_000,
          numWorkersMax: 5,
          bootTimeoutMs: 5_000,
          supervisor: { ttlMs: 6_000, watchTickMs: 3_000, execTtlMs: 4_000 },
        });
        const model = new Model(fake);
        for (const one of acts) {
          if (one.act === "wait") await fake.clock.advanceAsync(one.ms);
          else model.do(one);
        }
        await model.recover();
        await model.check();
        await fake.stop();
        expect(fake.processes.alive).to.deep.equal([]);
        expect(fake.clock.timers, "timers").to.equal(0);
      }),
      { numRuns: RUNS },
    );
  });
});
