import { expect } from "chai";
import { Patience, Stall } from "../../../src/api/stall.ts";
import { ManualClock } from "../../support/manual-clock.ts";

describe("A reader that makes its worker wait", () => {
  function stalls() {
    const clock = new ManualClock();
    const patience = new Patience();
    const stopped: string[] = [];
    const stall = (name: string) => new Stall(clock, patience, () => stopped.push(name));
    return { clock, patience, stopped, stall };
  }

  it("has stopped after a quarter of a second at a time, or a second in all", () => {
    const { clock, stopped, stall } = stalls();
    const slow = stall("slow");
    slow.begin();
    clock.advance(249);
    expect(stopped).to.deep.equal([]);
    clock.advance(1);
    expect(stopped).to.deep.equal(["slow"]);
    const halting = stall("halting");
    for (let pause = 0; pause < 20 && stopped.length < 2; pause++) {
      halting.begin();
      clock.advance(100);
      halting.end();
    }
    expect(stopped).to.deep.equal(["slow", "halting"]);
  });

  it("makes those after it wait less, until others show that readers go on", () => {
    const { clock, patience, stopped, stall } = stalls();
    const startMs = clock.monotonicMs();
    for (let reader = 0; reader < 1_000; reader++) {
      stall(`${reader}`).begin();
      while (stopped.length <= reader) clock.advance(1);
    }
    expect(clock.monotonicMs() - startMs, "a thousand of them").to.be.below(3_000);
    for (let reader = 0; reader < 30; reader++) {
      const fast = stall("fast");
      fast.begin();
      fast.end();
    }
    expect(patience.ms).to.equal(250);
    expect(stopped).to.have.length(1_000);
  });

  it("leaves no timer behind when it is not needed any more", () => {
    const { clock, stopped, stall } = stalls();
    const gone = stall("gone");
    gone.begin();
    gone.cancel();
    expect(clock.timers).to.equal(0);
    clock.advance(1_000);
    expect(stopped).to.deep.equal([]);
  });

  it("is told of a few times a second while nothing can be done for it, however long that takes", () => {
    const clock = new ManualClock();
    let told = 0;
    const stall: Stall = new Stall(clock, new Patience(), () => {
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
