import { expect } from "chai";
import { RrError } from "../../../src/errors.ts";
import { EventLog } from "../../../src/events/event-log.ts";
import { BootTrouble } from "../../../src/pool/boot-trouble.ts";
import { PoolReporter } from "../../../src/pool/pool-reporter.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { memoryLog } from "../../support/memory-log.ts";

const DAY_2026 = Date.UTC(2026, 0, 2, 3, 4, 5);
const broken = (text: string) => new RrError("BOOT_FAILED", text);

function trouble() {
  const clock = new ManualClock(DAY_2026);
  const events = new EventLog(100);
  const { log, lines } = memoryLog();
  const trials = { boots: false, count: 0 };
  const made = new BootTrouble({
    pool: "http",
    clock,
    reporter: new PoolReporter("http", log, events, clock),
    trial: async () => {
      trials.count++;
      if (!trials.boots) throw broken("it does not boot yet");
    },
    changed: () => {},
  });
  return { clock, events, lines, trials, trouble: made };
}

describe("BootTrouble", () => {
  it("says since when and why, from its first failure on", () => {
    const { clock, trouble: one } = trouble();
    expect([one.exists, one.reason]).to.deep.equal([false, ""]);
    one.failed("boot", broken("a parse error"));
    clock.advance(60_000);
    one.failed("boot", broken("another parse error"));
    expect(one.reason).to.equal(
      "new workers do not boot since 2026-01-02T03:04:05Z: workers serve on with the code from before and are not recycled: another parse error",
    );
    one.close();
  });

  it("is an event when it begins and when it is over, and what is left to do is said", () => {
    const { events, trouble: one } = trouble();
    one.failed("reset", broken("a parse error"));
    one.failed("boot", broken("a parse error"));
    one.over();
    one.over();
    expect(events.all().map(({ type }) => type)).to.deep.equal(["pool.degraded", "pool.recovered"]);
    expect(events.all()[1]?.message).to.contain('"rrctl reset http"');
    expect(one.exists).to.equal(false);
  });

  it("looks by itself whether a worker boots again, when nothing else does", async () => {
    const { clock, trials, trouble: one } = trouble();
    one.failed("reset", broken("a parse error"));
    await clock.advanceAsync(20_000);
    one.failed("boot", broken("a parse error"));
    await clock.advanceAsync(29_000);
    expect(trials.count, "every failure is news").to.equal(0);
    await clock.advanceAsync(61_000);
    expect(trials.count).to.equal(3);
    expect(one.exists).to.equal(true);
    trials.boots = true;
    await clock.advanceAsync(30_000);
    expect([one.exists, clock.timers]).to.deep.equal([false, 0]);
  });

  it("is not over because of a worker from before", () => {
    const { clock, trouble: one } = trouble();
    const beforeMs = clock.monotonicMs();
    clock.advance(1_000);
    one.failed("boot", broken("a parse error"));
    clock.advance(1_000);
    expect([one.disproves(beforeMs), one.disproves(clock.monotonicMs())]).to.deep.equal([false, true]);
    one.close();
    expect(clock.timers).to.equal(0);
  });
});
