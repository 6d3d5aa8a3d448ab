import { expect } from "chai";
import { floodLimited } from "../../../src/log/flood-limited-log.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { memoryLog } from "../../support/memory-log.ts";

describe("A log that cannot be flooded", () => {
  let clock: ManualClock;
  let memory: ReturnType<typeof memoryLog>;
  beforeEach(() => {
    clock = new ManualClock();
    memory = memoryLog();
  });

  it("tells of refused requests once a second, with their number, and leaves all other lines alone", () => {
    const log = floodLimited(memory.log.child({ channel: "http" }), clock);
    for (let number = 0; number < 3_000; number++) {
      log.warn(
        { event: "http.request_failed", reason: "QUEUE_FULL", pool: "http", request_id: String(number) },
        "full",
      );
      log.info({}, "http access log");
      clock.advance(1);
    }
    clock.advance(1_000);
    const refused = memory.lines.filter(({ level }) => level === "warn");
    expect(refused).to.have.length(4);
    expect(refused[0]!.fields).to.deep.include({ channel: "http", request_id: "0" });
    expect(refused[1]!.message).to.equal("full (and 999 more of this kind before it)");
    expect(refused[1]!.fields.left_out).to.equal(999);
    const counted = refused.reduce((sum, { fields }) => sum + 1 + Number(fields.left_out ?? 0), 0);
    expect(counted).to.equal(3_000);
    expect(memory.lines.filter(({ level }) => level === "info")).to.have.length(3_000);
  });

  it("has room for some of each other kind, and limits children with their parents", () => {
    const log = floodLimited(memory.log, clock);
    for (let number = 0; number < 100; number++) {
      log.child({ number }).error({ event: "one" }, "it broke");
      log.error({ event: "other" }, "it broke");
      log.error({}, `connection ${number} does not speak the language`);
    }
    const of = (matches: (line: (typeof memory.lines)[number]) => boolean) => memory.lines.filter(matches).length;
    expect(of(({ fields }) => fields.event === "one")).to.equal(20);
    expect(of(({ fields }) => fields.event === "other")).to.equal(20);
    expect(of(({ message }) => message.startsWith("connection"))).to.equal(20);
  });
});
