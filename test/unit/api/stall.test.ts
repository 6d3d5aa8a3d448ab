import { expect } from "chai";
import { Stall } from "../../../src/api/stall.ts";
import { ManualClock } from "../../support/manual-clock.ts";

describe("A reader that stalls", () => {
  it("is told of sooner when it was slow often", () => {
    const clock = new ManualClock();
    let told = 0;
    const stall = new Stall(clock, () => told++);
    for (let pause = 0; pause < 4; pause++) {
      stall.begin();
      clock.advance(200);
      stall.end();
    }
    expect(told, "after short pauses").to.equal(0);
    stall.begin();
    clock.advance(200);
    expect(told).to.equal(1);
  });

  it("is told of a few times a second while nothing can be done for it, however long that takes", () => {
    const clock = new ManualClock();
    let told = 0;
    const stall: Stall = new Stall(clock, () => {
      told++;
      stall.again();
    });
    stall.begin();
    clock.advance(60_000);
    expect(told).to.be.within(60, 240);
    stall.end();
    expect(clock.timers, "left behind").to.equal(0);
  });
});
