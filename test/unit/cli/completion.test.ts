import { expect } from "chai";
import { complete, renderCandidates } from "../../../cli/completion.ts";

describe("cli completion", () => {
  const lookup = async (source: "pools" | "workers") =>
    source === "pools"
      ? [
          { value: "http", description: "serving" },
          { value: "jobs", description: "paused" },
        ]
      : [{ value: "4711", description: "http, ready" }];
  const values = async (...words: string[]) => (await complete(words, lookup)).map(({ value }) => value);

  it("offers commands, and the families of commands once", async () => {
    const all = await values("");
    expect(all).to.include.members(["serve", "workers", "worker", "config", "completion"]);
    expect(all.filter((value) => value === "worker")).to.have.length(1);
    expect(await values("wor")).to.deep.equal(["workers", "worker"]);
  });

  it("offers the commands of a family", async () => {
    expect(await values("worker", "")).to.deep.equal(["add", "remove", "restart", "kill"]);
    expect(await values("config", "v")).to.deep.equal(["validate"]);
  });

  it("asks the core for pools and workers", async () => {
    expect(await values("scale", "")).to.deep.equal(["http", "jobs"]);
    expect(await values("reset", "http", "j")).to.deep.equal(["jobs"]);
    expect(await values("worker", "kill", "")).to.deep.equal(["4711"]);
    expect(await values("scale", "--workers", "4", "h")).to.deep.equal(["http"]);
    expect(await values("scale", "http", "")).to.deep.equal([]);
  });

  it("offers options of the command and of all", async () => {
    expect(await values("workers", "--w")).to.deep.equal(["--watch", "--workdir"]);
    expect(await values("serve", "-")).to.include.members(["-s", "--silent", "-c", "--config", "-w", "-o"]);
    expect(await values("serve", "-")).to.not.include("--address");
    expect(await values("workers", "-w")).to.deep.equal(["-w"]);
  });

  it("offers values of options, after a blank or after =", async () => {
    expect(await values("workers", "-o", "")).to.deep.equal(["table", "json", "yaml"]);
    expect(await values("dispatch", "--codec", "j")).to.deep.equal(["json"]);
    expect(await values("events", "--pool", "")).to.deep.equal(["http", "jobs"]);
    expect(await values("workers", "--output=j")).to.deep.equal(["json"]);
    // bash hands the line over in these pieces.
    expect(await values("workers", "--output", "=", "j")).to.deep.equal(["json"]);
    expect(await values("completion", "")).to.deep.equal(["bash", "zsh", "fish", "powershell"]);
  });

  it("skips global options and their values before the command", async () => {
    expect(await values("-c", "x.yaml", "--address=y:1", "pool")).to.deep.equal(["pools"]);
  });

  it("leaves files to the shell", async () => {
    expect(await values("-c", "")).to.deep.equal([]);
    expect(await values("config", "validate", "")).to.deep.equal([]);
  });

  it("writes a candidate a line with its description behind a tab", () => {
    expect(renderCandidates([{ value: "http", description: "serving" }])).to.equal("http\tserving\n");
  });
});
