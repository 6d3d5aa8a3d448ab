import { expect } from "chai";
import { folderPrefix, judgeFolder } from "../../../src/spool/leftovers.ts";

describe("leftovers of the spool", () => {
  const HOUR_MS = 3_600_000;
  const nowMs = 10 * HOUR_MS;
  const judge = (name: string, touchedMs: number, birth: string | undefined) =>
    judgeFolder(name, touchedMs, nowMs, "0123abcd", () => birth);
  const own = `${folderPrefix("0123abcd", 42, "777")}xyz`;
  const foreign = `${folderPrefix("deadbeef", 42, "777")}xyz`;

  it("are those of processes that are gone", () => {
    expect(judge(own, 0, undefined)).to.equal("dead");
    expect(judge(own, nowMs, "777"), "it lives, however old the folder").to.equal("alive");
    expect(judge(own, nowMs, "778"), "another process with the same id").to.equal("dead");
    expect(judge(own, nowMs, "0"), "the system does not say").to.equal("alive");
  });

  it("of other containers and machines are judged by their silence", () => {
    expect(judge(foreign, nowMs - HOUR_MS, "777")).to.equal("dead");
    expect(judge(foreign, nowMs - 1000, undefined)).to.equal("undecided");
  });

  it("have names of their own", () => {
    for (const name of ["rr-uploads", "rr-uploads-0123abcd-42-777", "php1234", `${own}/..`, `x${own}`])
      expect(judge(name, 0, undefined), name).to.equal(undefined);
  });
});
