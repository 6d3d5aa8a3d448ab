import { expect } from "chai";
import { EVENT_TYPES, EventLog } from "../../../src/events/event-log.ts";
import { ManualClock } from "../../support/manual-clock.ts";

describe("EventLog", () => {
  it("numbers events and stamps them", () => {
    const clock = new ManualClock(5_000);
    const log = new EventLog(10, clock);
    expect(log.revision).to.equal(0);
    log.record("pool.started", { pool: "http", message: "it runs" });
    clock.advance(7);
    log.record("worker.exited", { pool: "http", pid: 12, reason: "WORKER_EXITED", message: "gone" });
    expect(
      log.all().map(({ revision, timeMs, type, severity, pid }) => [revision, timeMs, type, severity, pid]),
    ).to.deep.equal([
      [1, 5_000, "pool.started", "info", 0],
      [2, 5_007, "worker.exited", "error", 12],
    ]);
  });

  it("keeps the newest, in order, and says when older ones are asked for", () => {
    const log = new EventLog(3);
    for (let count = 1; count <= 5; count++) log.record("worker.ready", { message: String(count) });
    expect(log.all().map(({ message }) => message)).to.deep.equal(["3", "4", "5"]);
    expect(log.since(3)?.map(({ revision }) => revision)).to.deep.equal([4, 5]);
    expect(log.since(2)?.map(({ revision }) => revision)).to.deep.equal([3, 4, 5]);
    expect(log.since(1)).to.equal(undefined);
    expect(log.since(5)).to.deep.equal([]);
  });

  it("leaves out attributes that say nothing", () => {
    const log = new EventLog(3);
    log.record("worker.exited", { message: "", attributes: { exit_code: 0, signal: undefined, request_id: "" } });
    expect(log.all()[0]?.attributes).to.deep.equal({ exit_code: "0" });
  });

  it("tells watchers from now on until they stop", () => {
    const log = new EventLog(3);
    const seen: string[] = [];
    log.record("worker.ready", { message: "before" });
    const stop = log.watch(({ message }) => seen.push(message));
    log.record("worker.ready", { message: "while" });
    stop();
    log.record("worker.ready", { message: "after" });
    expect(seen).to.deep.equal(["while"]);
  });

  it("gives every type a severity and a meaning, named by what it is about", () => {
    for (const [type, { severity, meaning }] of Object.entries(EVENT_TYPES)) {
      expect(type).to.match(/^(server|frontend|pool|worker|call|config|rpc|reload|certificate|control|log)\.[a-z_]+$/);
      expect(severity).to.be.oneOf(["info", "warning", "error"]);
      expect(meaning.length).to.be.greaterThan(10);
    }
  });
});
