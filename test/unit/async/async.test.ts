import { expect } from "chai";
import { Backoff } from "../../../src/async/backoff.ts";
import { Deadline } from "../../../src/async/deadline.ts";
import { planEnd } from "../../../src/async/end-plan.ts";
import { every } from "../../../src/async/every.ts";
import { Waiters } from "../../../src/async/waiters.ts";
import { systemClock } from "../../../src/clock.ts";
import { ManualClock } from "../../support/manual-clock.ts";

describe("Deadline", () => {
  it("is one moment for all who ask", () => {
    const clock = new ManualClock();
    const deadline = Deadline.after(1000, clock);
    clock.advance(400);
    expect(deadline.remainingMs).to.equal(600);
    expect(deadline.earlier(100).remainingMs).to.equal(500);
    expect(deadline.earlier(10_000).remainingMs).to.equal(0);
    expect(deadline.within(50).remainingMs).to.equal(50);
    expect(deadline.within(5000).atMs).to.equal(deadline.atMs);
    clock.advance(10_000);
    expect(deadline.remainingMs).to.equal(0);
    expect(deadline.passed).to.equal(true);
  });

  it("aborts its signal when the moment comes, and at once when it has come", () => {
    const clock = new ManualClock();
    const { signal } = Deadline.after(10, clock);
    clock.advance(9);
    expect(signal.aborted).to.equal(false);
    clock.advance(1);
    expect(signal.aborted).to.equal(true);
    expect(Deadline.after(0, clock).signal.aborted).to.equal(true);
  });

  it("waits for a promise no longer than that, and leaves no timer", async () => {
    const clock = new ManualClock();
    const deadline = Deadline.after(10, clock);
    expect(await deadline.race(Promise.resolve(7))).to.equal(7);
    expect(clock.timers).to.equal(0);
    const late = deadline.race(new Promise(() => {}));
    clock.advance(10);
    expect(await late).to.equal(undefined);
  });
});

describe("Waiters", () => {
  it("wakes each once, and those that come meanwhile the next time", () => {
    const waiters = new Waiters();
    const woken: string[] = [];
    waiters.add(() => {
      woken.push("one");
      waiters.add(() => woken.push("two"));
    });
    waiters.wakeAll();
    expect(woken).to.deep.equal(["one"]);
    expect(waiters.size).to.equal(1);
    waiters.wakeAll();
    waiters.wakeAll();
    expect(woken).to.deep.equal(["one", "two"]);
  });
});

describe("every", () => {
  it("goes on after work that throws, and not after the signal", async () => {
    const stop = new AbortController();
    const errors: unknown[] = [];
    let runs = 0;
    await new Promise<void>((resolve) => {
      every(
        1,
        stop.signal,
        async () => {
          if (++runs === 3) {
            stop.abort();
            resolve();
          } else if (runs === 1) throw new Error("first");
          else await Promise.reject(new Error("second"));
        },
        (thrown) => errors.push(thrown),
      );
      // The timer of `every` holds nothing up, so this one does.
      setTimeout(() => {}, 200);
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(errors.map(String)).to.deep.equal(["Error: first", "Error: second"]);
    expect(runs).to.equal(3);
  });
});

describe("Backoff", () => {
  it("grows up to its limit and starts anew after a success", () => {
    const backoff = new Backoff({ firstMs: 100, maxMs: 1000, factor: 3 });
    expect([backoff.failed(), backoff.failed(), backoff.failed(), backoff.failed()]).to.deep.equal([
      100, 300, 900, 1000,
    ]);
    backoff.succeeded();
    expect(backoff.failed()).to.equal(100);
  });
});

describe("systemClock.after", () => {
  it("waits longer than Node's timers can, instead of not at all", async () => {
    let fired = false;
    const stop = systemClock.after(2 ** 31, () => {
      fired = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    stop();
    expect(fired).to.equal(false);
  });
});

describe("planEnd", () => {
  const moments = (timeoutMs: number, acceptMs = 0) => {
    const { accept, cut, close, gone } = planEnd(timeoutMs, acceptMs, new ManualClock());
    return [accept, cut, close, gone].map(({ remainingMs }) => Math.round(remainingMs));
  };

  it("is one period: to take calls, to finish what runs, to close, to be gone", () => {
    expect(moments(30_000)).to.deep.equal([0, 28_000, 28_500, 30_000]);
    expect(moments(3_000)).to.deep.equal([0, 2_400, 2_550, 3_000]);
    expect(moments(30_000, 5_000)).to.deep.equal([5_000, 28_000, 28_500, 30_000]);
  });

  it("leaves half of the time to what runs, however long load balancers may take to notice", () => {
    expect(moments(10_000, 10_000)[0]).to.equal(5_000);
    expect(moments(10_000, 60_000)[0]).to.equal(5_000);
  });

  it("cuts off at once where there is no time, and still lets answers out", () => {
    expect(moments(0)).to.deep.equal([0, 0, 125, 500]);
    expect(moments(0, 5_000)[0]).to.equal(0);
  });
});
