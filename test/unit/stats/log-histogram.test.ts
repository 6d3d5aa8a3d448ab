import { expect } from "chai";
import fc from "fast-check";
import { LogHistogram } from "../../../src/stats/log-histogram.ts";

describe("LogHistogram", () => {
  it("tells percentiles to a thousandth, whatever the values are", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 1, maxLength: 300 }), (values) => {
        const halves = [new LogHistogram(), new LogHistogram()];
        for (const [at, value] of values.entries()) halves[at % 2]!.record(value);
        const sorted = [...values].sort((one, other) => one - other);
        const percents = [50, 90, 99, 100];
        for (const [at, told] of LogHistogram.percentiles(halves, percents).entries()) {
          const exact = sorted[Math.ceil((sorted.length * percents[at]!) / 100) - 1]!;
          expect(told).to.be.closeTo(exact, Math.max(1, exact / 500));
        }
      }),
    );
  });

  it("knows count, mean and the largest exactly, and takes what is beyond its range", () => {
    const histogram = new LogHistogram();
    for (const value of [1, 2, 3, 2 ** 40]) histogram.record(value);
    expect([histogram.count, histogram.max]).to.deep.equal([4, 2 ** 40]);
    expect(histogram.mean).to.equal((6 + 2 ** 40) / 4);
    expect(LogHistogram.percentiles([new LogHistogram()], [50])).to.deep.equal([0]);
  });
});
