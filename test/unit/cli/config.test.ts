import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { runProgram } from "../../../cli/program.ts";
import { memoryTerminal } from "./memory-terminal.ts";

describe("cli config", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "rrctl-config-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function config(...argv: string[]) {
    const terminal = memoryTerminal();
    const exitCode = await runProgram(["config", ...argv], {
      version: "1.2.3",
      cwd: directory,
      env: {},
      terminal,
      interruption: () => new AbortController().signal,
    });
    return { exitCode, out: terminal.out, err: terminal.err };
  }

  const right = 'version: "3"\nserver:\n  command: php worker.php\nhttp:\n  address: 127.0.0.1:8080\n';
  const wrong = `${right}  pool:\n    num_workers: many\n    allocate_timeout: soon\n`;

  it("validates .rr.yaml of the directory without a server", async () => {
    await writeFile(join(directory, ".rr.yaml"), right);
    expect(await config("validate")).to.deep.equal({ exitCode: 0, out: ".rr.yaml is valid.\n", err: "" });
  });

  it("lists all problems with their places and ends with 2", async () => {
    await writeFile(join(directory, "other.yaml"), wrong);
    const { exitCode, out, err } = await config("validate", "other.yaml");
    expect(exitCode).to.equal(2);
    const [first, second, ...rest] = out.trimEnd().split("\n");
    expect(first).to.match(/^error other\.yaml:7:18: http\.pool\.num_workers: .*"many"/);
    expect(second).to.match(/^error other\.yaml:8:23: http\.pool\.allocate_timeout: .*"soon"/);
    expect(rest).to.deep.equal([]);
    expect(err).to.contain("other.yaml: 2 errors");
  });

  it("gives the problems as data", async () => {
    await writeFile(join(directory, ".rr.yaml"), wrong);
    const { exitCode, out } = await config("validate", "-o", "json");
    expect(exitCode).to.equal(2);
    const { problems } = JSON.parse(out);
    expect(problems[0]).to.include({ line: 7, column: 18, severity: "error" });
  });

  it("names warnings of a file that is valid", async () => {
    await writeFile(join(directory, ".rr.yaml"), `${right}kv:\n  memory:\n    driver: memory\n`);
    const { exitCode, out } = await config("validate");
    expect(exitCode).to.equal(0);
    expect(out)
      .to.match(/^warning \.rr\.yaml:6:1: kv: /)
      .and.contain(".rr.yaml is valid.");
  });

  it("says that there is no file, and how to get one", async () => {
    const { exitCode, out } = await config("validate");
    expect(exitCode).to.equal(2);
    expect(out).to.contain("does not exist").and.contain("rrctl init");
  });

  it("checks overrides too", async () => {
    await writeFile(join(directory, ".rr.yaml"), right);
    const { exitCode, out } = await config("validate", "-o", "http.pool.nmu_workers=3");
    expect(exitCode).to.equal(2);
    expect(out).to.contain("nmu_workers").and.contain("num_workers");
  });

  it("shows what the file gives, with overrides and where values come from", async () => {
    await writeFile(join(directory, ".rr.yaml"), right);
    const { exitCode, out } = await config("show", "--file", "-o", "http.pool.num_workers=8");
    expect(exitCode).to.equal(0);
    expect(out).to.match(/^http\.pool\.num_workers +8 +-o http\.pool\.num_workers=8$/m);
    expect(out).to.match(/^server\.command +\["php","worker\.php"\] +\.rr\.yaml:3:12$/m);
    expect(out).to.not.contain("default");
  });
});
