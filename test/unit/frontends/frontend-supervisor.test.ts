import { expect } from "chai";
import { planEnd } from "../../../src/async/end-plan.ts";
import { RrError } from "../../../src/errors.ts";
import { EventLog } from "../../../src/events/event-log.ts";
import { FrontendSupervisor } from "../../../src/frontends/frontend-supervisor.ts";
import { FakeFrontend } from "../../support/fake-frontend.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { memoryLog } from "../../support/memory-log.ts";

describe("FrontendSupervisor", () => {
  /** Frontends as they are started; `fails` decides what becomes of the next start. */
  function supervised({ count = 1, nodeArguments = [] as string[] } = {}) {
    const clock = new ManualClock();
    const events = new EventLog(100, clock);
    const started: FakeFrontend[] = [];
    const control = { fails: undefined as Error | undefined, held: undefined as Promise<void> | undefined };
    const { log, lines } = memoryLog();
    const supervisor = new FrontendSupervisor({
      count,
      nodeArguments,
      servers: [],
      cores: async () => ["unix:///core.sock"],
      logs: {},
      baseEnv: {},
      log,
      events,
      clock,
      launch: async () => {
        await control.held;
        if (control.fails) throw control.fails;
        const frontend = new FakeFrontend(100 + started.length);
        started.push(frontend);
        return frontend;
      },
    });
    const types = () => events.all().map(({ type }) => type);
    const turn = () => clock.advanceAsync(0);
    /** Starts, with all frontends listening. */
    const start = async () => {
      const starting = supervisor.start();
      await turn();
      for (const frontend of started) frontend.says({ type: "listening" });
      await starting;
    };
    const stop = (timeoutMs = 1000) => supervisor.stop(planEnd(timeoutMs, 0, clock));
    return { supervisor, clock, events, started, control, lines, types, turn, start, stop };
  }

  const shortage = new RrError("BOOT_FAILED", 'cannot run "node": the system takes no more processes of this user');

  it("is started when all take connections", async () => {
    const { supervisor, started, start, types } = supervised({ count: 2 });
    expect(supervisor.outage).to.contain("no HTTP frontend takes connections");
    await start();
    expect(started.map(({ told }) => told)).to.deep.equal([["assignment"], ["assignment"]]);
    expect(supervisor.reports.map(({ state }) => state)).to.deep.equal(["listening", "listening"]);
    expect(supervisor.outage).to.equal(undefined);
    expect(types()).to.deep.equal(["frontend.started", "frontend.started"]);
  });

  it("is not started when the first one cannot be, and tries no more", async () => {
    const { supervisor, control, clock, started } = supervised();
    control.fails = shortage;
    const error = await supervisor.start().then(
      () => undefined,
      (thrown: RrError) => thrown,
    );
    expect(error?.reason).to.equal("FAILED_PRECONDITION");
    expect(error?.message).to.contain("cannot be started").and.contain("no more processes");
    control.fails = undefined;
    await clock.advanceAsync(60_000);
    expect(started).to.have.length(0);
    expect(clock.timers).to.equal(0);
  });

  it("is not started when the first one ends, or takes no connections in time", async () => {
    const one = supervised();
    const ended = one.supervisor.start().catch((error: Error) => error.message);
    await one.turn();
    one.started[0]!.exit(1);
    expect(await ended).to.contain("its reason is printed above");
    const two = supervised();
    const late = two.supervisor.start().catch((error: Error) => error.message);
    await two.clock.advanceAsync(15_000);
    expect(await late).to.contain("did not start");
    expect(two.started[0]!.exitStatus?.signal).to.equal("SIGKILL");
  });

  it("tries again for ever what cannot be started, after growing pauses, and says so once", async () => {
    const { supervisor, clock, control, started, start, types, lines } = supervised();
    await start();
    control.fails = shortage;
    started[0]!.exit(1);
    await clock.advanceAsync(0);
    expect(supervisor.reports[0]).to.deep.include({ state: "waiting", pid: undefined });
    expect(supervisor.outage).to.contain("no more processes");
    await clock.advanceAsync(3_600_000);
    expect(types().filter((type) => type === "frontend.start_failed")).to.have.length(1);
    expect(lines.filter(({ fields }) => fields.event === "frontend.start_failed")).to.have.length(1);
    control.fails = undefined;
    // The longest pause.
    await clock.advanceAsync(5_000);
    started[1]!.says({ type: "listening" });
    expect(supervisor.outage).to.equal(undefined);
    expect(supervisor.reports[0]).to.deep.include({ state: "listening", restarts: 1 });
  });

  it("starts again at once what was stable, and with pauses what is not", async () => {
    const { clock, started, start } = supervised();
    await start();
    await clock.advanceAsync(10_000);
    started[0]!.exit(1);
    await clock.advanceAsync(0);
    expect(started, "at once").to.have.length(2);
    started[1]!.says({ type: "listening" });
    started[1]!.exit(1);
    await clock.advanceAsync(0);
    expect(started, "after a pause").to.have.length(2);
    await clock.advanceAsync(200);
    expect(started).to.have.length(3);
  });

  it("replaces one that does not react any more", async () => {
    const { supervisor, clock, events, started, start } = supervised();
    await start();
    await clock.advanceAsync(60_000);
    expect(started[0]!.exitStatus, "it answers").to.equal(undefined);
    started[0]!.answers = false;
    await clock.advanceAsync(20_000);
    expect(started[0]!.exitStatus?.signal).to.equal("SIGKILL");
    expect(started).to.have.length(2);
    const exited = events.all().find(({ type }) => type === "frontend.exited")!;
    expect(exited).to.deep.include({ reason: "FRONTEND_HUNG", pid: 100 });
    expect(exited.message).to.contain("did not react for 15 s");
    expect(supervisor.outage).to.contain("did not react");
  });

  it("leaves alone one that is being debugged", async () => {
    const { clock, started, start } = supervised({ nodeArguments: ["--inspect=0"] });
    await start();
    started[0]!.answers = false;
    await clock.advanceAsync(600_000);
    expect(started[0]!.exitStatus).to.equal(undefined);
  });

  it("tells when a frontend loses its core, and finds it again", async () => {
    const { supervisor, started, start, types } = supervised();
    await start();
    started[0]!.says({ type: "core", problem: "connect ENOENT core.sock" });
    expect(supervisor.outage).to.contain("reaches the core").and.contain("ENOENT");
    expect(supervisor.reports[0]!.problem).to.contain("ENOENT");
    started[0]!.says({ type: "core", problem: undefined });
    expect(supervisor.outage).to.equal(undefined);
    expect(types().slice(1)).to.deep.equal(["frontend.core_lost", "frontend.core_found"]);
  });

  describe("ends", () => {
    it("those that listen, and kills what does not end", async () => {
      const { clock, started, start, stop } = supervised({ count: 2 });
      await start();
      const stopped = stop(5_000);
      await clock.advanceAsync(0);
      expect(started.map(({ told }) => told.at(-1))).to.deep.equal(["close", "close"]);
      started[0]!.exit(0);
      await clock.advanceAsync(5_000);
      await stopped;
      expect(started[1]!.exitStatus?.signal).to.equal("SIGKILL");
      await clock.advanceAsync(60_000);
      expect(started).to.have.length(2);
    });

    it("one that waits for its next attempt", async () => {
      const { supervisor, clock, control, started, start, stop } = supervised();
      await start();
      control.fails = shortage;
      started[0]!.exit(1);
      await clock.advanceAsync(1_000);
      await stop();
      expect(supervisor.reports[0]!.state).to.equal("closed");
      control.fails = undefined;
      await clock.advanceAsync(60_000);
      expect(started).to.have.length(1);
    });

    it("one whose process is just being started", async () => {
      const { clock, control, started, start, stop } = supervised();
      await start();
      let release = () => {};
      control.held = new Promise((resolve) => {
        release = resolve;
      });
      started[0]!.exit(1);
      await clock.advanceAsync(0);
      const stopped = stop();
      await clock.advanceAsync(0);
      release();
      await clock.advanceAsync(0);
      expect(started[1]!.told).to.deep.equal(["assignment", "close"]);
      started[1]!.exit(0);
      await stopped;
    });

    it("one that does not take connections yet", async () => {
      const { supervisor, clock, started, turn, stop } = supervised();
      const starting = supervisor.start().catch((error: RrError) => error.reason);
      await turn();
      const stopped = stop();
      started[0]!.says({ type: "listening" });
      started[0]!.exit(0);
      await stopped;
      expect(await starting).to.equal("DRAINING");
      await clock.advanceAsync(60_000);
      expect(started).to.have.length(1);
    });
  });
});
