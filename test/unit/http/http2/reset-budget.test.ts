import { expect } from "chai";
import { ResetBudget, resetLimits } from "../../../../src/http/http2/reset-budget.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

describe("requests of HTTP/2 that are taken back", () => {
  it("may be many at once, and then as many as time allows", () => {
    const clock = new ManualClock();
    const budget = new ResetBudget({ burst: 100, perSecond: 10 }, clock);
    for (let at = 0; at < 100; at++) expect(budget.spend(), `${at}`).to.equal(true);
    expect(budget.spend()).to.equal(false);
    clock.advance(1_000);
    for (let at = 0; at < 9; at++) expect(budget.spend(), `${at}`).to.equal(true);
    expect(budget.spend()).to.equal(false);
  });

  it("do no harm at the rate that is allowed, however long", () => {
    const clock = new ManualClock();
    const budget = new ResetBudget({ burst: 100, perSecond: 40 }, clock);
    for (let at = 0; at < 10_000; at++) {
      clock.advance(1_000 / 33);
      expect(budget.spend()).to.equal(true);
    }
  });

  it("are counted before the library counts them, whatever Node there is", () => {
    for (const version of ["20.19.0", "22.10.9"])
      expect(resetLimits(version)).to.deep.equal({ own: { burst: 900, perSecond: 33 }, options: {} });
    for (const version of ["22.11.0", "23.0.0", "24.1.2"]) {
      const { own, options } = resetLimits(version);
      expect(options.streamResetBurst).to.be.above(own.burst);
      expect(options.streamResetRate).to.be.above(own.perSecond);
    }
  });
});
