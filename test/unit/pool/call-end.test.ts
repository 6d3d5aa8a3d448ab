import { expect } from "chai";
import { Deadline } from "../../../src/async/deadline.ts";
import { EventLog } from "../../../src/events/event-log.ts";
import { silentLog } from "../../../src/log.ts";
import type { CallOptions } from "../../../src/pool/call.ts";
import { Pool } from "../../../src/pool/pool.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { poolOptions } from "../../support/pool-options.ts";

/** A pool that nobody started: calls wait for workers that never come. */
function waitingPool({ queueWaitMs = 10_000 } = {}) {
  const clock = new ManualClock();
  const pool = new Pool(poolOptions({ name: "http", maxQueueLength: 1, queueWaitMs }), {
    clock,
    log: silentLog,
    events: new EventLog(10),
    baseEnv: {},
  });
  const told: string[] = [];
  const dispatch = (options: Partial<CallOptions> = {}) =>
    pool.dispatch(
      {
        request: { context: Buffer.alloc(0), body: Buffer.from("x"), codec: 0 },
        idempotent: false,
        requestId: "",
        ...options,
      },
      {
        reply: () => true,
        failed: ({ reason }) => told.push(reason),
        settled: () => told.push("settled"),
      },
    );
  return { clock, pool, told, dispatch };
}

describe("The end of a call", () => {
  it("comes when its caller's time is over: failed first, settled last, counted as what it was", () => {
    const { clock, pool, told, dispatch } = waitingPool();
    dispatch({ timeoutMs: 5_000 });
    clock.advance(4_999);
    expect(told).to.deep.equal([]);
    clock.advance(1);
    expect(told).to.deep.equal(["DEADLINE_EXCEEDED", "settled"]);
    expect([...pool.figures.failures]).to.deep.equal([["DEADLINE_EXCEEDED", 1]]);
    expect(pool.callsOpen).to.equal(0);
    void pool.stop(Deadline.after(0));
  });

  it("comes once, and its timer goes with it", () => {
    const { clock, pool, told, dispatch } = waitingPool();
    const call = dispatch({ timeoutMs: 5_000 });
    call.cancel();
    expect(clock.timers, "no timer was left").to.equal(0);
    call.cancel();
    expect(told).to.deep.equal(["settled"]);
    expect([...pool.figures.failures]).to.deep.equal([["CANCELLED", 1]]);
    void pool.stop(Deadline.after(0));
  });

  it("may be longer away than a timer of Node can wait", () => {
    const { clock, pool, told, dispatch } = waitingPool({ queueWaitMs: 2 ** 33 });
    dispatch({ timeoutMs: 2 ** 32 - 1 });
    clock.advance(2 ** 31);
    expect(told).to.deep.equal([]);
    clock.advance(2 ** 31);
    expect(told).to.deep.equal(["DEADLINE_EXCEEDED", "settled"]);
    void pool.stop(Deadline.after(0));
  });
});

describe("Admission to a pool", () => {
  it("is refused as a call would be, before there is one", () => {
    const { pool, dispatch } = waitingPool();
    expect(pool.admission()).to.equal(undefined);
    dispatch();
    expect(pool.admission()?.reason).to.equal("QUEUE_FULL");
    pool.pause();
    expect(pool.admission()?.reason).to.equal("POOL_PAUSED");
    expect(pool.figures.failures.get("POOL_PAUSED"), "the call that waited, and the one that asked").to.equal(2);
    void pool.stop(Deadline.after(0));
  });
});
