import { expect } from "chai";
import { judgeOwner, ownedPrefix, ownerOf } from "../../../src/process/owned-folder.ts";

describe("folders that tell whose they are", () => {
  const HOUR_MS = 3_600_000;
  const nowMs = 10 * HOUR_MS;
  const PREFIX = "rr-uploads-";
  const nameOf = (world: string) => `${ownedPrefix(PREFIX, { world, pid: 42, birth: "777" })}xyz`;
  const judge = (name: string, touchedMs: number, birth: string | undefined) => {
    const owner = ownerOf(PREFIX, name);
    return owner && judgeOwner(owner, touchedMs, nowMs, "0123abcd", () => birth);
  };
  const own = nameOf("0123abcd");
  const foreign = nameOf("deadbeef");

  it("are leftovers when their processes are gone", () => {
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
    for (const name of ["rr-uploads", "rr-uploads-0123abcd-42-777", "php1234", `${own}/..`, `x${own}`, `rr-run-${own}`])
      expect(ownerOf(PREFIX, name), name).to.equal(undefined);
  });
});
