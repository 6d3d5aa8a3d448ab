import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { filePlace } from "../../../src/log/log-channel.ts";
import { LogOutput, type LogSettings } from "../../../src/log/log-output.ts";

describe("LogOutput", () => {
  let directory: string;
  const outputs: LogOutput[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-log-output-"));
  });
  afterEach(() => {
    for (const output of outputs.splice(0)) output.end();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Standard streams are files of the directory. */
  function open(settings: Partial<LogSettings>, standard: Record<string, string> = {}): LogOutput {
    const output = new LogOutput(
      { mode: "production", level: "info", encoding: "json", output: ["stderr"], channelLevels: {}, ...settings },
      {
        colours: { stdout: false, stderr: false },
        standard: (name) => ({ ...filePlace(standard[name] ?? join(directory, name)), name }),
      },
    );
    outputs.push(output);
    return output;
  }

  async function written(output: LogOutput, name: string): Promise<string[]> {
    await output.flush(2_000);
    const text = await readFile(join(directory, name), "utf8").catch(() => "");
    return text.split("\n").slice(0, -1);
  }

  it("writes JSON with the moment in UTC, the channel, and the channel as RoadRunner calls it", async () => {
    const output = open({});
    output.log.child({ channel: "http" }).info({ a: 1 }, "one");
    output.log.warn({ channel: "config" }, "two \u009b31m \u2028");
    const lines = await written(output, "stderr");
    const [one, two] = lines.map((line) => JSON.parse(line));
    expect(one).to.include({ level: "info", channel: "http", logger: "http", a: 1, msg: "one" });
    expect(one.ts).to.match(/^\d{4}-.*Z$/);
    expect(two).to.include({ channel: "config", logger: "config", msg: "two \u009b31m \u2028" });
    expect(lines[1]).to.contain("\\u009b31m \\u2028");
  });

  it("writes to the terminal for people and to files for programs", async () => {
    const output = open({ mode: "development", encoding: "console", output: ["stderr", join(directory, "rr.log")] });
    output.log.info({ channel: "http" }, "one");
    expect((await written(output, "stderr"))[0]).to.match(/[+-]\d\d:\d\d INFO {2}http {3}one$/);
    expect(JSON.parse((await written(output, "rr.log"))[0]!)).to.include({ msg: "one", logger: "http" });
  });

  it("knows the standard streams by their names in the file system", async () => {
    const output = open({ output: ["/dev/stdout", "/proc/self/fd/2"] });
    output.log.info({}, "one");
    expect(await written(output, "stdout")).to.have.length(1);
    expect(await written(output, "stderr")).to.have.length(1);
  });

  it("prints for people also where no log is wanted", async () => {
    const output = open({ mode: "none" });
    output.log.error({}, "unheard");
    output.print("it serves\n");
    expect(await written(output, "stderr")).to.deep.equal(["it serves"]);
  });

  it("says on the places that work that one does not, and tells who listens", async () => {
    const heard: string[] = [];
    const output = open({ output: [directory, join(directory, "rr.log")] });
    output.listen({ failing: ({ place }) => heard.push(place), recovered: () => {} });
    output.log.info({}, "one");
    await output.flush(2_000);
    const [one, told, ...others] = (await written(output, "rr.log")).map((line) => JSON.parse(line));
    expect(one.msg).to.equal("one");
    expect(told).to.include({ level: "error", channel: "log", place: directory });
    expect(told.msg).to.contain("EISDIR");
    expect(others).to.deep.equal([]);
    expect(heard).to.deep.equal([directory]);
    expect(await written(output, "stderr")).to.deep.equal([]);
  });

  it("says it on standard error where no other place works", async () => {
    const output = open({ output: [directory] });
    output.log.info({}, "one");
    await output.flush(2_000);
    expect((await written(output, "stderr")).join()).to.contain(`the log cannot be written to ${directory}: EISDIR`);
  });

  it("goes on when nothing works at all", async () => {
    const output = open({ output: [directory, "stderr"] }, { stderr: directory });
    output.log.info({}, "one");
    await output.flush(2_000);
    output.log.info({}, "two");
    await output.flush(2_000);
  });
});
