import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { RrError } from "../../../src/errors.ts";
import { ChildProcess, type ChildProcessOptions } from "../../../src/process/child-process.ts";
import { eventually } from "../../support/eventually.ts";
import { phpFixture } from "../../support/php.ts";
import { isAlive } from "../../support/test-pool.ts";

const start = (script: string, options: Partial<ChildProcessOptions> = {}) =>
  ChildProcess.start({
    command: ["sh", "-c", script],
    workingDirectory: tmpdir(),
    env: { PATH: process.env.PATH },
    stdio: "log",
    ...options,
  });

describe("ChildProcess", () => {
  it("tells code or signal, once the last output is read", async () => {
    const lines: string[] = [];
    const child = await start("echo one; echo two >&2; exit 3", {
      onLine: (line, stream) => lines.push(`${stream}: ${line}`),
    });
    expect(await child.exited).to.deep.equal({ code: 3, signal: null });
    expect(lines).to.have.members(["stdout: one", "stderr: two"]);
    expect(child.exitStatus).to.deep.equal({ code: 3, signal: null });
    expect((await (await start("kill -9 $$")).exited).signal).to.equal("SIGKILL");
  });

  it("keeps the last lines only", async () => {
    const child = await start("for at in $(seq 1 100); do echo line $at; done");
    await child.exited;
    const lines = child.lastOutput.split("\n");
    expect(lines).to.have.length(20);
    expect(lines.at(-1)).to.equal("line 100");
  });

  it("gives the child exactly the environment it is told, and the directory", async () => {
    const directory = mkdtempSync(join(tmpdir(), "rr-test-cwd-"));
    const child = await start("env | sort; pwd", {
      env: { PATH: process.env.PATH, ONE: "1", NOTHING: undefined },
      workingDirectory: directory,
    });
    await child.exited;
    rmSync(directory, { recursive: true });
    expect(child.lastOutput).to.contain("ONE=1").and.contain(directory);
    expect(child.lastOutput).to.not.contain("RRCTL_TEST_RUN").and.not.contain("NOTHING");
  });

  it("carries a protocol over stdin and stdout, and logs stderr alone", async () => {
    const lines: string[] = [];
    const child = await start("cat; echo done >&2", { stdio: "channel", onLine: (line) => lines.push(line) });
    child.stdin.end("through the pipe");
    const pieces: Buffer[] = [];
    for await (const piece of child.stdout) pieces.push(piece as Buffer);
    expect(Buffer.concat(pieces).toString()).to.equal("through the pipe");
    await child.exited;
    expect(lines).to.deep.equal(["done"]);
  });

  it("gives the child pipes that can be opened by their path, and leaves none of them behind", async function () {
    if (process.platform !== "linux") return this.skip();
    const pipeDirectories = () => readdirSync(tmpdir()).filter((name) => name.startsWith("rr-pipe-"));
    const before = new Set(pipeDirectories());
    const child = await start("echo by path > /dev/stderr; readlink /proc/self/fd/2");
    await child.exited;
    expect(child.lastOutput).to.contain("by path");
    const ours = /(rr-pipe-\w+)/.exec(child.lastOutput)?.[1];
    expect(ours, "a named pipe").to.not.equal(undefined);
    expect(before.has(ours!)).to.equal(false);
    expect(pipeDirectories()).to.not.include(ours);
  });

  it("signals the whole group", async () => {
    let grandchild = 0;
    const child = await start("sleep 60 & echo $!; wait", {
      onLine: (line) => {
        grandchild = Number(line);
      },
    });
    await eventually("the grandchild was there", () => grandchild !== 0);
    child.signal("SIGKILL");
    await child.exited;
    await eventually("the grandchild was gone", () => !isAlive(grandchild));
    child.signal("SIGTERM");
  });

  it("does not wait for a grandchild that holds the output open", async () => {
    const startedMs = performance.now();
    let grandchild = 0;
    const child = await start("sleep 60 & echo $!", {
      onLine: (line) => {
        grandchild = Number(line);
      },
    });
    await child.exited;
    expect(performance.now() - startedMs).to.be.lessThan(5_000);
    process.kill(grandchild, "SIGKILL");
  });

  for (const [what, options, pattern] of [
    ["a command that is not there", { command: ["/no/such/command"] }, /was not found/],
    ["a directory that is not there", { workingDirectory: "/no/such/directory" }, /does \/no\/such\/directory exist/],
    ["a file that may not run", { command: [phpFixture("worker.php")] }, /may not be executed/],
    ["no command at all", { command: [] }, /command is empty/],
    ["a user that is not there", { user: "no-such-user" }, /"no-such-user" is not in \/etc\/passwd/],
  ] as const)
    it(`explains ${what}`, async () => {
      const error = await start("", options).then(
        () => undefined,
        (thrown: RrError) => thrown,
      );
      expect(error?.message).to.match(pattern);
      expect(error?.reason).to.be.oneOf(["BOOT_FAILED", "CONFIG_INVALID"]);
    });

  it("runs as another user, who can open the pipes by path too", async function () {
    if (process.getuid?.() !== 0) {
      console.log("    skipped: only root can start processes as another user");
      return this.skip();
    }
    const child = await start("id -u; echo by path > /dev/stderr", { user: "65534", workingDirectory: "/" }).catch(
      (error: RrError) => error,
    );
    if (!(child instanceof ChildProcess)) {
      console.log(`    skipped: ${child.message}`);
      return this.skip();
    }
    await child.exited;
    expect(child.lastOutput.split("\n")).to.have.members(["65534", "by path"]);
  });
});
