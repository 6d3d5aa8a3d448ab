import { create } from "@bufbuild/protobuf";
import { expect } from "chai";
import { EventFilterSchema, Severity } from "../../../gen/roadrunner/event/v1/event_service_pb.ts";
import { matcher } from "../../../src/api/event-service.ts";
import { EventLog, type EventType } from "../../../src/events/event-log.ts";

function passing(filter: Parameters<typeof create<typeof EventFilterSchema>>[1] | undefined): string[] {
  const log = new EventLog(10);
  const record = (type: EventType, pool: string) => log.record(type, { pool, message: "" });
  record("worker.ready", "http");
  record("worker.exited", "http");
  record("worker.exited", "jobs");
  record("pool.paused", "jobs");
  record("server.started", "");
  return log
    .all()
    .filter(matcher(filter && create(EventFilterSchema, filter)))
    .map(({ type, pool }) => `${type} ${pool}`.trim());
}

describe("Event filter", () => {
  it("lets everything pass when it asks for nothing", () => {
    expect(passing(undefined)).to.have.length(5);
    expect(passing({})).to.have.length(5);
  });

  it("picks pools", () => {
    expect(passing({ pools: ["jobs"] })).to.deep.equal(["worker.exited jobs", "pool.paused jobs"]);
    expect(passing({ pools: ["jobs", "http"] })).to.have.length(4);
  });

  it("picks types, by name or beginning", () => {
    expect(passing({ types: ["worker.exited"] })).to.deep.equal(["worker.exited http", "worker.exited jobs"]);
    expect(passing({ types: ["worker.*"] })).to.have.length(3);
    expect(passing({ types: ["pool.*", "server.started"] })).to.deep.equal(["pool.paused jobs", "server.started"]);
    expect(() => passing({ types: ["worker"] })).to.throw('no type of event is "worker"');
  });

  it("picks by severity", () => {
    expect(passing({ minSeverity: Severity.WARNING })).to.have.length(3);
    expect(passing({ minSeverity: Severity.ERROR })).to.deep.equal(["worker.exited http", "worker.exited jobs"]);
  });

  it("wants all of it at once", () => {
    expect(passing({ pools: ["http"], types: ["worker.*"], minSeverity: Severity.ERROR })).to.deep.equal([
      "worker.exited http",
    ]);
  });
});
