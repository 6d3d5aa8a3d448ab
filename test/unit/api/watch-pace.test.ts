import { expect } from "chai";
import { Shared, WatchPace } from "../../../src/api/watch-pace.ts";
import { ManualClock } from "../../support/manual-clock.ts";

describe("WatchPace", () => {
  /** How often each of so many watchers is told in ten seconds. */
  async function told(watchers: number, intervalMs: number): Promise<number[]> {
    const clock = new ManualClock();
    const pace = new WatchPace(5, clock);
    // One for each, as calls have.
    const stops = Array.from({ length: watchers }, () => new AbortController());
    const counts = new Array<number>(watchers).fill(0);
    const running = counts.map(async (_, at) => {
      for await (const _tick of pace.ticks(intervalMs, stops[at]!.signal)) counts[at]!++;
    });
    await clock.advanceAsync(10_000);
    for (const stop of stops) stop.abort();
    await Promise.all(running);
    expect(clock.timers).to.equal(0);
    return counts;
  }

  it("keeps the interval of a few", async () => {
    expect(await told(3, 100)).to.deep.equal([101, 101, 101]);
  });

  it("is slower for many, so that all together are told so often at most", async () => {
    const counts = await told(400, 100);
    const inAll = counts.reduce((sum, count) => sum + count, 0);
    expect(inAll).to.be.within(400 + 1_500, 400 + 2_400);
    expect(Math.min(...counts)).to.be.at.least(5);
  });
});

describe("A shared value", () => {
  it("is made once for all who ask at about the same time", async () => {
    const clock = new ManualClock();
    let made = 0;
    const shared = new Shared(100, async () => ++made, clock);
    expect(await Promise.all([shared.get(), shared.get(), shared.get()])).to.deep.equal([1, 1, 1]);
    clock.advance(100);
    expect(await shared.get()).to.equal(2);
  });

  it("is tried again at once if it could not be made", async () => {
    let made = 0;
    const make = () => (++made === 1 ? Promise.reject(new Error("not now")) : Promise.resolve(made));
    const shared = new Shared(100, make, new ManualClock());
    await shared.get().catch(() => {});
    expect(await shared.get()).to.equal(2);
  });
});
