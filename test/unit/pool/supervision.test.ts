import { expect } from "chai";
import fc from "fast-check";
import { executionsMaxWithJitter, nearsExecutionsMax, replacementReason } from "../../../src/pool/supervision.ts";

const NO_LIMITS = { watchTickMs: 1_000, ttlMs: 0, idleTtlMs: 0, execTtlMs: 0, workerMemoryBytesMax: 0 };
const OLD_IDLE_FAT = { ageMs: 1e9, idleMs: 1e9, memoryBytes: 1e12 };

describe("replacementReason", () => {
  it("is none without limits", () => {
    expect(replacementReason(OLD_IDLE_FAT, NO_LIMITS)).to.equal(undefined);
  });

  it("counts from the limit on", () => {
    const at = (ageMs: number) =>
      replacementReason({ ageMs, idleMs: undefined, memoryBytes: 0 }, { ...NO_LIMITS, ttlMs: 100 });
    expect([at(99), at(100)]).to.deep.equal([undefined, "ttl"]);
    const idle = (idleMs: number | undefined) =>
      replacementReason({ ageMs: 0, idleMs, memoryBytes: 0 }, { ...NO_LIMITS, idleTtlMs: 100 });
    expect([idle(99), idle(100)]).to.deep.equal([undefined, "idle_ttl"]);
    const memory = (memoryBytes: number) =>
      replacementReason({ ageMs: 0, idleMs: undefined, memoryBytes }, { ...NO_LIMITS, workerMemoryBytesMax: 100 });
    expect([memory(100), memory(101)]).to.deep.equal([undefined, "memory"]);
  });

  it("never calls a worker idle that works or was never used", () => {
    expect(replacementReason({ ...OLD_IDLE_FAT, idleMs: undefined }, { ...NO_LIMITS, idleTtlMs: 1 })).to.equal(
      undefined,
    );
  });

  it("leaves the time of a call to the worker", () => {
    expect(replacementReason(OLD_IDLE_FAT, { ...NO_LIMITS, execTtlMs: 1 })).to.equal(undefined);
  });
});

describe("executionsMaxWithJitter", () => {
  it("stays without a limit, and at small numbers exact", () => {
    expect(executionsMaxWithJitter(0, 0.99)).to.equal(0);
    for (const maxJobs of [1, 2, 7]) expect(executionsMaxWithJitter(maxJobs, 0.999)).to.equal(maxJobs);
  });

  it("adds up to 14 percent", () => {
    expect(executionsMaxWithJitter(1000, 0)).to.equal(1000);
    expect(executionsMaxWithJitter(1000, 0.999999)).to.equal(1139);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (maxJobs, random) => {
          const most = executionsMaxWithJitter(maxJobs, random);
          return most >= maxJobs && (most - maxJobs) * 100 <= maxJobs * 14 && Number.isInteger(most);
        },
      ),
    );
  });
});

describe("nearsExecutionsMax", () => {
  it("is true in time for a successor: with the last tenth of the calls", () => {
    expect(nearsExecutionsMax(0, 0)).to.equal(false);
    expect(nearsExecutionsMax(0, 1)).to.equal(true);
    expect([0, 1, 2].map((executions) => nearsExecutionsMax(executions, 3))).to.deep.equal([false, true, true]);
    expect([88, 89, 99].map((executions) => nearsExecutionsMax(executions, 100))).to.deep.equal([false, true, true]);
  });

  it("is true at the last call at the latest", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), (executionsMax) =>
        nearsExecutionsMax(executionsMax - 1, executionsMax),
      ),
    );
  });
});
