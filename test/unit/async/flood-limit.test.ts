import { expect } from "chai";
import { FloodLimit } from "../../../src/async/flood-limit.ts";
import { ManualClock } from "../../support/manual-clock.ts";

describe("FloodLimit", () => {
  function limited(burst: number) {
    const clock = new ManualClock();
    const told: string[] = [];
    const limit = new FloodLimit<string>(clock, { burst, intervalMs: 1_000 }, (item, leftOut) =>
      told.push(leftOut === 0 ? item : `${item} +${leftOut}`),
    );
    return { clock, told, limit };
  }

  it("tells the first few at once, then one in a while with the number of the others", () => {
    const { clock, told, limit } = limited(2);
    for (let number = 0; number < 5_000; number++) {
      limit.add("a", String(number));
      clock.advance(1);
    }
    clock.advance(1_000);
    expect(told).to.deep.equal(["0", "1", "1001 +999", "2001 +999", "3001 +999", "4001 +999", "4999 +997"]);
    expect(clock.timers).to.equal(0);
  });

  it("forgets none: told and left out are all there were", () => {
    const { clock, told, limit } = limited(3);
    let added = 0;
    for (const pauseMs of [0, 0, 0, 0, 10, 990, 500, 0, 0, 5_000, 0, 0, 0, 0, 0, 1_001, 1]) {
      limit.add("a", "x");
      added++;
      clock.advance(pauseMs);
    }
    clock.advance(2_000);
    const counted = told.reduce((sum, text) => sum + 1 + Number(/\+(\d+)/.exec(text)?.[1] ?? 0), 0);
    expect(counted).to.equal(added);
  });

  it("limits each kind by itself", () => {
    const { told, limit } = limited(1);
    limit.add("a", "a1");
    limit.add("a", "a2");
    limit.add("b", "b1");
    expect(told).to.deep.equal(["a1", "b1"]);
  });

  it("has a full burst again after a quiet time, and no more", () => {
    const { clock, told, limit } = limited(2);
    for (const item of ["1", "2", "3"]) limit.add("a", item);
    clock.advance(100_000);
    for (const item of ["4", "5", "6"]) limit.add("a", item);
    expect(told).to.deep.equal(["1", "2", "3", "4", "5"]);
  });
});
