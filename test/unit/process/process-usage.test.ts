import { expect } from "chai";
import { ProcessUsageSampler } from "../../../src/process/process-usage.ts";
import { ManualClock } from "../../support/manual-clock.ts";

describe("ProcessUsageSampler", () => {
  function sampler() {
    const clock = new ManualClock();
    const reads: number[] = [];
    // A process that uses a quarter of a processor, and grows.
    const usage = () => ({ memoryBytes: clock.monotonicMs(), cpuMs: clock.monotonicMs() / 4 });
    const read = async (pid: number) => {
      reads.push(pid);
      return usage();
    };
    return { clock, reads, sampler: new ProcessUsageSampler(clock, read, usage) };
  }

  it("looks once for all who ask at the same time, and again only when that is some time ago", async () => {
    const { clock, reads, sampler: usage } = sampler();
    await Promise.all(Array.from({ length: 100 }, () => usage.fresh([1, 2, 3])));
    expect(reads.sort()).to.deep.equal([1, 2, 3]);
    await usage.fresh([1, 2, 3, 4]);
    expect(reads).to.have.length(4);
    const before = usage.memoryBytes(1);
    clock.advance(1_000);
    expect(usage.memoryBytes(1), "nobody looked").to.equal(before);
    await usage.fresh([1]);
    expect(usage.memoryBytes(1)).to.equal(before + 1_000);
    expect(reads).to.have.length(5);
  });

  it("tells everybody the same share of a processor, however often others look", async () => {
    const { clock, sampler: usage } = sampler();
    await usage.fresh([1]);
    expect(usage.cpuPercent(1)).to.equal(0);
    for (let look = 0; look < 50; look++) {
      clock.advance(250);
      await usage.fresh([1]);
      expect(usage.cpuPercent(1)).to.equal(25);
      expect(usage.cpuPercent(1)).to.equal(25);
    }
  });

  it("forgets whom nobody asks for", async () => {
    const { clock, reads, sampler: usage } = sampler();
    await usage.fresh([1]);
    clock.advance(61_000);
    await usage.fresh([2]);
    expect(usage.cpuPercent(1), "as at the first look").to.equal(0);
    expect(reads).to.deep.equal([1, 2]);
  });
});
