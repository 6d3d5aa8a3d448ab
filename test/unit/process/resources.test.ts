import { expect } from "chai";
import { readMemoryBytes, readUsage } from "../../../src/process/resources.ts";

describe("readUsage", () => {
  before(function () {
    if (process.platform !== "linux") this.skip();
  });

  it("reads memory and processor time of a process", () => {
    const until = performance.now() + 30;
    while (performance.now() < until);
    const { memoryBytes, cpuMs } = readUsage(process.pid);
    expect(memoryBytes).to.be.closeTo(process.memoryUsage.rss(), 64 << 20);
    const { user, system } = process.cpuUsage();
    expect(cpuMs).to.be.closeTo((user + system) / 1000, 100);
  });

  it("reads nothing of a process that is gone", () => {
    expect(readMemoryBytes(0x7fff_fff0)).to.equal(0);
    expect(readUsage(0x7fff_fff0)).to.deep.equal({ memoryBytes: 0, cpuMs: 0 });
  });
});
