import { expect } from "chai";
import { Turns } from "../../../src/http/turns.ts";
import { ManualClock } from "../../support/manual-clock.ts";

describe("turns", () => {
  /** Names of those whose turn came, in their order; "late" behind those who waited too long. */
  function setUp() {
    const clock = new ManualClock();
    const turns = new Turns(clock);
    const came: string[] = [];
    const take = (name: string, size: number) => {
      const turn = turns.take(size, 1000);
      void turn.came.then((has) => came.push(has ? name : `${name} late`));
      return turn;
    };
    const settled = () => new Promise((resolve) => setImmediate(resolve));
    return { clock, turns, came, take, settled };
  }

  it("come one at a time, the smallest first, equal ones in their order", async () => {
    const { came, take, settled } = setUp();
    const first = take("first", 100);
    const [large, small, other] = [take("large", 50), take("small", 1), take("other", 1)];
    await settled();
    expect(came).to.deep.equal(["first"]);
    first.end();
    first.end();
    await settled();
    expect(came, "an end that is told twice is one").to.deep.equal(["first", "small"]);
    small.end();
    other.end();
    await settled();
    expect(came).to.deep.equal(["first", "small", "other", "large"]);
    large.end();
  });

  it("do not come to who has left or waits for too long", async () => {
    const { clock, turns, came, take, settled } = setUp();
    const first = take("first", 1);
    take("gone", 1).end();
    const late = take("waits", 1);
    clock.advance(1000);
    await settled();
    expect(came).to.deep.equal(["first", "gone late", "waits late"]);
    late.end();
    expect(turns.waiting).to.equal(0);
    first.end();
    take("next", 1);
    await settled();
    expect(came.at(-1)).to.equal("next");
  });
});
