import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { writePidFile } from "../../../cli/pid-file.ts";

describe("the pid file", () => {
  let directory: string;
  let path: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-pid-"));
    path = join(directory, ".pid");
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const text = () => readFileSync(path, "utf8");

  it("has the process's id until it is removed", () => {
    const file = writePidFile(path);
    expect(file.problem).to.equal(undefined);
    expect(text()).to.equal(String(process.pid));
    file.remove();
    expect(existsSync(path)).to.equal(false);
  });

  it("stays that of another server which runs", async function () {
    if (process.platform !== "linux") this.skip();
    const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    try {
      writeFileSync(path, String(other.pid));
      const file = writePidFile(path);
      expect(file.problem).to.contain(`belongs to process ${other.pid}`);
      file.remove();
      expect(text()).to.equal(String(other.pid));
    } finally {
      other.kill("SIGKILL");
    }
  });

  it("is taken over from a server that was killed, also if its id was given to somebody else", () => {
    writeFileSync(path, String(process.ppid));
    utimesSync(path, 1_000, 1_000);
    expect(writePidFile(path).problem).to.equal(undefined);
    expect(text()).to.equal(String(process.pid));
  });

  for (const content of ["", "no number", "0", "-1", "4194999"])
    it(`is taken over if it says ${JSON.stringify(content)}`, () => {
      writeFileSync(path, content);
      expect(writePidFile(path).problem).to.equal(undefined);
      expect(text()).to.equal(String(process.pid));
    });

  it("is not removed once it belongs to another", () => {
    const file = writePidFile(path);
    writeFileSync(path, "1");
    file.remove();
    expect(text()).to.equal("1");
  });

  it("is refused where a named pipe is", function () {
    if (process.platform === "win32") this.skip();
    execFileSync("mkfifo", [path]);
    expect(() => writePidFile(path)).to.throw(`cannot write ${path}: what is there is no file, and is not touched`);
  });
});
