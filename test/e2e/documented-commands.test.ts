import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { compiledRrctl } from "../support/compiled-server.ts";
import { within } from "../support/eventually.ts";
import { blocksOf } from "../support/markdown.ts";
import { needsPhp, ROOT, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const LIMIT_MS = 30_000;
const ECHO = `php ${join(ROOT, "php/examples/echo.php")}`;
const HELLO = `php ${join(ROOT, "php/examples/hello.php")}`;

/** What goes on until Ctrl-C: it is interrupted when it has shown something. */
const ENDLESS = /^rrctl (serve|workers.* -w|stats.* -w|events.* -f)( |$)/;
/** What ends the server, or is for one with a single pool, gets one of its own. */
const ALONE = /^rrctl (stop|scale \d)/;
/** Run elsewhere, against several cores: frontend.test.ts. */
const ELSEWHERE = /^rrctl frontend/;

/** The examples of docs/rrctl.md, each command as it stands there, by a shell. */
describe("Commands of docs/rrctl.md", function () {
  this.timeout(60_000);
  let directory: string;
  let server: ServerProcess;

  before(async function () {
    needsPhp(this);
    directory = mkdtempSync(join(tmpdir(), "rr-test-commands-"));
    for (const name of ["bin", "app", "empty", ".zfunc", ".config/fish/completions"])
      mkdirSync(join(directory, name), { recursive: true });
    const program = `#!/bin/sh\nexec ${JSON.stringify(process.execPath)} ${await compiledRrctl()} "$@"\n`;
    writeFileSync(join(directory, "bin/rrctl"), program, { mode: 0o755 });
    const config = `version: "3"\nserver: { command: ${HELLO} }\nhttp: { address: "127.0.0.1:0", pool: { num_workers: 1 } }\n`;
    for (const name of [".rr.yaml", "app/.rr.yaml"])
      writeFileSync(join(directory, name), `${config}control: { listen: "tcp://127.0.0.1:0" }\n`);
    writeFileSync(join(directory, ".env.local"), "A=b\n");
    writeFileSync(join(directory, "job.json"), '{"job": 1}');
    const echo = { command: ECHO, num_workers: 1 };
    server = await ServerProcess.start({ command: HELLO, pools: { echo, jobs: echo } });
  });
  after(async () => {
    await stopServers();
    if (directory) rmSync(directory, { recursive: true });
  });

  const commands = blocksOf("docs/rrctl.md")
    .filter(({ language }) => language === "sh")
    .flatMap(({ text, line }) =>
      text
        .trimEnd()
        .split("\n")
        .map((command) => ({ command: command.replace(/ +# .*$/, ""), line })),
    );

  it("are many", () => {
    expect(commands).to.have.length.above(35);
  });

  for (const { command, line } of commands)
    it(`line ${line}: ${command}`, async function () {
      if (ELSEWHERE.test(command)) return skip(this, "frontend.test.ts runs it, against several cores");
      const [, program] = /\| (\w+)/.exec(command) ?? [];
      if (program === "jq" && spawnSync("jq", ["--version"]).status !== 0) return skip(this, "jq is not installed");
      const own = ALONE.test(command) ? await ServerProcess.start({ command: HELLO }) : server;
      const { exitCode, out } = await run(await adapted(command, own), own, ENDLESS.test(command));
      expect(exitCode, out).to.equal(0);
      if (command.startsWith("rrctl stop")) expect(await own.ended()).to.deep.equal({ code: 0, signal: null });
      else await own.whole();
    });

  /** What stands for something of the reader's: addresses, folders, ids of processes. */
  async function adapted(command: string, own: ServerProcess): Promise<string> {
    const [pid] = await own.pids();
    const text = command
      .replaceAll("10.0.0.5:6002", own.controlAddress)
      .replaceAll("/app", `${directory}/app`)
      .replaceAll("4711", String(pid))
      .replace(/ \| Out-String.*/, "");
    if (/^rrctl serve/.test(text)) return `${text} -o http.address=127.0.0.1:0 -o control.listen=tcp://127.0.0.1:0`;
    if (text === "rrctl init") return `cd empty && ${text}`;
    return text;
  }

  async function run(
    text: string,
    own: ServerProcess,
    endless: boolean,
  ): Promise<{ exitCode: number | null; out: string }> {
    const { RRCTL_ADDRESS: _address, ...inherited } = process.env;
    const env = {
      ...inherited,
      HOME: directory,
      PATH: `${directory}/bin:${process.env.PATH}`,
      // `config show` without a server's address, and `serve`, go by the file.
      ...(/^rrctl (serve|init|config (validate|show --file))/.test(text) ? {} : { RRCTL_ADDRESS: own.controlAddress }),
    };
    // What goes on is to get the signal itself.
    const script = endless ? `exec ${text}` : `set -o pipefail\n${text}`;
    const child = spawn("bash", ["-c", script], { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    const ready = /^rrctl serve/.test(text) ? /^ {2}control +/m : /./;
    const take = (piece: Buffer) => {
      const before = ready.test(out);
      out += piece;
      if (endless && !before && ready.test(out)) child.kill("SIGINT");
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    try {
      const [exitCode] = (await within(LIMIT_MS, `${text} ended`, once(child, "close"))) as [number | null];
      return { exitCode, out };
    } finally {
      child.kill("SIGKILL");
    }
  }
});
