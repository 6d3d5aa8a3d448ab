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

  it("keeps beginnings of texts only, however long they are and wherever they come from", () => {
    const log = new EventLog(10_000, new ManualClock());
    const text = "ä".repeat(500_000);
    for (const type of ["worker.error", "pool.failing"] as const)
      log.record(type, { message: text, attributes: { uri: text } });
    for (const { message, attributes } of log.all()) {
      expect(Buffer.byteLength(message)).to.be.lessThan(4_200);
      expect(message).to.contain("(995904 more bytes)");
      expect(Buffer.byteLength(attributes.uri!)).to.be.lessThan(1_100);
    }
  });

  it("tells of a flood by its beginning, and then once a second with the number of the others", () => {
    const clock = new ManualClock();
    const log = new EventLog(10_000, clock);
    log.record("server.started", { message: "it serves" });
    for (let number = 0; number < 5_000; number++) {
      log.record("worker.error", { pool: "http", message: `error ${number}` });
      clock.advance(1);
    }
    log.record("worker.error", { pool: "other", message: "of another pool" });
    clock.advance(1_000);
    const errors = log.all().filter(({ type, pool }) => type === "worker.error" && pool === "http");
    expect(errors).to.have.length.within(20, 26);
    const leftOut = errors.reduce((sum, { attributes }) => sum + Number(attributes.left_out ?? 0), 0);
    expect(errors.length + leftOut).to.equal(5_000);
    expect(errors.at(-1)!.message).to.match(/^error 4999 \(and \d+ more of this kind before it\)$/);
    expect(log.all()).to.have.length(errors.length + 2);
  });

  it("keeps what happened once when others happen all the time, and knows from where on it is complete", () => {
    const log = new EventLog(10, new ManualClock());
    log.record("server.started", { message: "it serves" });
    for (let count = 0; count < 100; count++) log.record("worker.ready", { message: String(count) });
    expect(log.all().map(({ type }) => type)).to.include("server.started");
    expect(log.completeFrom).to.equal(93);
    expect(log.since(91)).to.equal(undefined);
    expect(log.since(92)).to.have.length(9);
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
      expect(type).to.match(
        /^(server|frontend|pool|worker|call|config|rpc|reload|certificate|control|log|spool)\.[a-z_]+$/,
      );
      expect(severity).to.be.oneOf(["info", "warning", "error"]);
      expect(meaning.length).to.be.greaterThan(10);
    }
  });
});
