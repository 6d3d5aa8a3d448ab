import { expect } from "chai";
import { type ErrorResponses, ResponseWatch } from "../../../src/pool/response-watch.ts";
import { ManualClock } from "../../support/manual-clock.ts";

describe("ResponseWatch", () => {
  let clock: ManualClock;
  let told: ErrorResponses[];
  let watch: ResponseWatch;
  beforeEach(() => {
    clock = new ManualClock();
    told = [];
    watch = new ResponseWatch(clock, (counts) => told.push(counts));
  });

  it("says nothing while the application does well, whatever its clients do wrong", () => {
    for (let count = 0; count < 100; count++) watch.counted({ "2xx": 10, "3xx": 1, "4xx": 50 });
    clock.advance(60_000);
    expect(told).to.deep.equal([]);
  });

  it("tells of the first failure at once, and of all others in a while", () => {
    for (let second = 0; second < 25; second++) {
      watch.counted({ "2xx": 3, "5xx": 2 });
      clock.advance(1_000);
    }
    clock.advance(10_000);
    expect(told.slice(0, 2)).to.deep.equal([
      { failed: 2, all: 5 },
      { failed: 18, all: 45 },
    ]);
    expect(told).to.have.length(4);
    expect(told.reduce((sum, { failed }) => sum + failed, 0)).to.equal(50);
    clock.advance(10_000);
    expect(clock.timers).to.equal(0);
  });

  it("tells at once again after a good while", () => {
    watch.counted({ "5xx": 1 });
    clock.advance(10_000);
    watch.counted({ "2xx": 5 });
    watch.counted({ "2xx": 5, "5xx": 1 });
    expect(told).to.deep.equal([
      { failed: 1, all: 1 },
      { failed: 1, all: 6 },
    ]);
  });
});
