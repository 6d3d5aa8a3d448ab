import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect } from "chai";
import { BIRTH_UNKNOWN, birthOf, processWorld } from "../../../src/process/birth.ts";

describe("births of processes", () => {
  it("stay the same while a process lives, and end with it", async () => {
    const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], { stdio: ["pipe", "ignore", "ignore"] });
    const birth = birthOf(child.pid!);
    expect(birth).to.match(/^\d+$/);
    expect(birthOf(child.pid!)).to.equal(birth);
    const exit = once(child, "exit");
    child.stdin!.end();
    await exit;
    expect(birthOf(child.pid!)).to.equal(undefined);
  });

  it("tell processes apart, whatever they are called", async function () {
    if (process.platform !== "linux") return this.skip();
    // The name in /proc/PID/stat may hold what separates its fields.
    const script = "process.title = ') R 1 1'; process.stdout.write('on'); process.stdin.resume()";
    const child = spawn(process.execPath, ["-e", script], { stdio: ["pipe", "pipe", "ignore"] });
    await once(child.stdout!, "data");
    expect(Number(birthOf(child.pid!))).to.be.above(Number(birthOf(process.pid)));
    const exit = once(child, "exit");
    child.stdin!.end();
    await exit;
  });

  it("of processes of others are known, too", () => {
    expect(birthOf(1)).to.be.a("string");
    expect(birthOf(process.pid)).not.to.equal(process.platform === "linux" ? BIRTH_UNKNOWN : undefined);
  });

  it("count in one world", () => {
    expect(processWorld())
      .to.match(/^[0-9a-f]{8}$/)
      .and.to.equal(processWorld());
  });
});
