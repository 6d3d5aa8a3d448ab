import { expect } from "chai";
import { Distribution } from "../../../src/stats/distribution.ts";

describe("Distribution", () => {
  it("knows nothing before the first value", () => {
    expect(new Distribution().figures(0)).to.deep.equal({
      count: 0,
      meanMs: 0,
      p50Ms: 0,
      p90Ms: 0,
      p99Ms: 0,
      maxMs: 0,
    });
  });

  it("tells how values are spread, to about a thousandth", () => {
    const distribution = new Distribution();
    for (let ms = 1; ms <= 1_000; ms++) distribution.record(ms, 0);
    const { count, meanMs, p50Ms, p90Ms, p99Ms, maxMs } = distribution.figures(0);
    expect(count).to.equal(1_000);
    expect(meanMs).to.be.closeTo(500.5, 1);
    expect(p50Ms).to.be.closeTo(500, 1);
    expect(p90Ms).to.be.closeTo(900, 1);
    expect(p99Ms).to.be.closeTo(990, 1);
    expect(maxMs).to.be.closeTo(1_000, 1);
  });

  it("counts what takes no time at all", () => {
    const distribution = new Distribution();
    distribution.record(0, 0);
    expect(distribution.figures(0).count).to.equal(1);
  });

  it("forgets after a minute, by halves", () => {
    const distribution = new Distribution();
    distribution.record(5, 0);
    expect(distribution.figures(29_999).count).to.equal(1);
    distribution.record(6, 35_000);
    expect(distribution.figures(35_000).count).to.equal(2);
    expect(distribution.figures(66_000).count, "the first half is gone").to.equal(1);
    expect(distribution.figures(200_000).count).to.equal(0);
  });
});
