import { expect } from "chai";
import type { EndPlan } from "../../../src/async/end-plan.ts";
import { EXIT_ASKED, EXIT_BUG, EXIT_HURRIED, StopRequest } from "../../../src/life/stop-request.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { memoryLog } from "../../support/memory-log.ts";

function request(gracePeriodMs = 30_000) {
  const clock = new ManualClock();
  const { log, lines } = memoryLog();
  const exits: number[] = [];
  const stop = new StopRequest({ gracePeriodMs, drainDelayMs: 0 }, log, (code) => exits.push(code), clock);
  return { clock, lines, exits, stop };
}

/** Lets what is due come, until the promise has settled. */
async function settled<T>(promise: Promise<T>, clock: ManualClock): Promise<T> {
  let value: { is: T } | undefined;
  void promise.then((is) => {
    value = { is };
  });
  for (let ms = 0; value === undefined && ms < 60_000; ms += 100) await clock.advanceAsync(100);
  if (value === undefined) throw new Error("it did not settle within a minute");
  return value.is;
}

describe("StopRequest", () => {
  it("makes one deadline, whatever is asked later", async () => {
    const { clock, stop } = request(3_000);
    expect(stop.signal.aborted).to.equal(false);
    stop.request();
    clock.advance(1_000);
    stop.request(60_000);
    let plan: EndPlan | undefined;
    const code = await stop.end(async (given) => {
      plan = given;
    });
    expect([code, plan?.gone.remainingMs]).to.deep.equal([EXIT_ASKED, 2_000]);
  });

  it("ends the process when something does not end in time", async () => {
    const { clock, lines, stop } = request(3_000);
    stop.signalled("SIGTERM");
    const startMs = clock.monotonicMs();
    expect(
      await settled(
        stop.end(() => new Promise(() => {})),
        clock,
      ),
    ).to.equal(EXIT_ASKED);
    expect(clock.monotonicMs() - startMs).to.be.within(3_000, 4_000);
    expect(lines.map(({ message }) => message)).to.include(
      "something did not end in time: the process ends without it",
    );
  });

  it("is hurried by a second signal, and by no key that was pressed once", () => {
    const { clock, exits, stop } = request();
    stop.signalled("SIGINT");
    stop.signalled("SIGINT");
    expect(exits).to.deep.equal([]);
    clock.advance(600);
    stop.signalled("SIGINT");
    expect(exits).to.deep.equal([EXIT_HURRIED]);
  });

  it("is hurried by another signal at once, and by a call before it too", () => {
    const [one, other] = [request(), request()];
    one.stop.signalled("SIGINT");
    one.stop.signalled("SIGTERM");
    other.stop.request(10_000);
    other.stop.signalled("SIGINT");
    expect([one.exits, other.exits]).to.deep.equal([[EXIT_HURRIED], [EXIT_HURRIED]]);
  });

  it("is not hurried by a terminal that says more than once that it goes", () => {
    const { exits, stop } = request();
    for (let times = 0; times < 3; times++) stop.signalled("SIGHUP");
    expect(exits).to.deep.equal([]);
    expect(stop.signal.aborted).to.equal(true);
  });

  it("ends with a code of its own after a bug, and soon", async () => {
    const { clock, lines, stop } = request();
    stop.crashed(new Error("a bug"));
    let plan: EndPlan | undefined;
    const ended = stop.end(async (given) => {
      plan = given;
    });
    expect(await settled(ended, clock)).to.equal(EXIT_BUG);
    expect(plan!.gone.atMs - 1_000_000).to.equal(5_000);
    const line = lines.find(({ fields }) => fields.event === "process.crashed");
    expect(line?.message).to.contain("a bug");
    expect(line?.fields.stack).to.contain("stop-request.test.ts");
  });

  it("does not fill the log with a bug that comes again and again", () => {
    const { lines, stop } = request();
    for (let times = 0; times < 1_000; times++) stop.crashed(new Error("again"));
    expect(lines.length).to.be.lessThan(20);
  });

  it("tells a start that was broken off from one that failed", async () => {
    const { stop } = request();
    const failure = new Error("the port is in use");
    expect(await stop.comesFirst(Promise.resolve())).to.equal(false);
    const thrown = await stop.comesFirst(Promise.reject(failure)).catch((error: Error) => error);
    expect(thrown).to.equal(failure);
    stop.request();
    expect(await stop.comesFirst(Promise.reject(stop.signal.reason))).to.equal(true);
  });
});
