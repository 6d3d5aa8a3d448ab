import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import {
  collect,
  ended,
  hasPhp,
  hasShell,
  Lines,
  ROOT,
  rrctl,
  type Server,
  serveIn,
  spawnRrctl,
  startServer,
} from "./cli-server.ts";

interface PoolData {
  name: string;
  state: string;
  workers_wanted: number;
  workers_ready: number;
  generation: number;
}
interface WorkerData {
  pid: number;
  pool: string;
  state: string;
}

describe("rrctl with a running server", function () {
  this.timeout(60_000);
  let server: Server;

  before(async function () {
    if (!hasPhp) {
      console.log("    skipped: php is not installed, and these tests run real workers");
      return this.skip();
    }
    server = await startServer();
  });
  after(() => server?.dispose());

  const pools = async () => (await server.data<{ pools: PoolData[] }>("pools")).pools;
  const pool = async (name: string) => (await pools()).find((one) => one.name === name)!;
  const workers = async (name: string) => (await server.data<{ workers: WorkerData[] }>("workers", name)).workers;

  /** A given-up call leaves its worker asleep; the next test is not to wait for it. */
  const freeEchoWorker = async () => {
    for (const { pid } of await workers("echo")) await server.run("worker", "kill", String(pid));
  };

  it("shows what the server is", async () => {
    const info = await server.data<{ state: string; pools: string[]; processes: { pid: number }[] }>("info");
    expect(info.state).to.equal("serving");
    expect(info.pools).to.have.members(["http", "echo"]);
    expect(info.processes.map((process) => process.pid)).to.include(server.pid);
    const { out } = await server.run("info");
    expect(out.toString())
      .to.match(/^state +serving\n/)
      .and.contain(`${server.address} (--address)`);
  });

  it("lists pools and workers as aligned tables without colours in a pipe", async () => {
    const list = (await server.run("workers")).out.toString();
    const [header, ...rows] = list.trimEnd().split("\n");
    expect(header).to.match(/^POOL +PID +STATUS +EXECS +MEMORY +CPU% +CREATED +RUNNING$/);
    expect(rows).to.have.length(3);
    for (const row of rows)
      expect(row).to.match(/^(http|echo) +\d+ +ready +\d+ +[\d.]+ MB +[\d.]+ +(now|\d+ seconds? ago)$/);
    expect((await server.run("workers", "echo")).out.toString().trimEnd().split("\n")).to.have.length(2);
    expect((await server.run("pools")).out.toString()).to.match(/^POOL +STATUS +WORKERS[\s\S]*\necho +serving +1/);
  });

  it("colours by state when told to", async () => {
    const { out } = await rrctl(["workers", "echo", "--address", server.address], {
      cwd: server.directory,
      env: { FORCE_COLOR: "1" },
    });
    expect(out.toString()).to.contain("\x1b[36mready\x1b[39m");
  });

  it("finds the server by RRCTL_ADDRESS", async () => {
    const { exitCode } = await rrctl(["pools"], { cwd: tmpdir(), env: { RRCTL_ADDRESS: server.address } });
    expect(exitCode).to.equal(0);
  });

  it("finds the server by .rr.yaml, wherever it listens", async () => {
    const { exitCode, out } = await rrctl(["info"], { cwd: server.directory });
    expect(exitCode).to.equal(0);
    const socket = `unix://${join(server.directory, "control.sock")}`;
    expect(out.toString()).to.contain(`${socket} (the server of .rr.yaml, pid ${server.pid})`);
    const other = await rrctl(["info", "-c", join(server.directory, ".rr.yaml")], { cwd: tmpdir() });
    expect(other.exitCode).to.equal(0);
  });

  it("shows the configuration in force and where each value comes from", async () => {
    const { out } = await server.run("config", "show");
    expect(out.toString())
      .to.match(/^KEY +VALUE +FROM\n/)
      .and.match(/^http\.pool\.num_workers +2 +\S*\.rr\.yaml:7:\d+$/m);
    expect(out.toString()).to.not.contain("internal_error_code");
    expect((await server.run("config", "show", "--all")).out.toString()).to.match(
      /^http\.internal_error_code +500 +default$/m,
    );
    const yaml = (await server.run("config", "show", "-o", "yaml")).out.toString();
    expect(yaml)
      .to.match(/^version: "3"\n/)
      .and.contain("    num_workers: 2\n");
  });

  it("scales a pool and returns when the workers are there", async () => {
    const { exitCode, out } = await server.run("scale", "http", "--workers", "4");
    expect([exitCode, out.toString()]).to.deep.equal([0, "http: serving, 4 workers (4 ready, 0 working)\n"]);
    expect((await workers("http")).filter((worker) => worker.state === "ready")).to.have.length(4);
    expect((await server.run("scale", "http", "+1")).out.toString()).to.match(/^http: serving, 5 workers/);
    expect((await server.run("scale", "http", "2")).exitCode).to.equal(0);
    expect((await pool("http")).workers_wanted).to.equal(2);
  });

  it("says what is wrong with a scale", async () => {
    const unclear = await server.run("scale", "--workers", "4");
    expect(unclear.exitCode).to.equal(2);
    expect(unclear.err).to.contain('"echo"').and.contain('"http"');
    expect((await server.run("scale", "http", "--workers", "0")).exitCode).to.equal(2);
    const unknown = await server.run("scale", "nope", "--workers", "4");
    expect(unknown.exitCode).to.equal(4);
    expect(unknown.err).to.contain('there is no pool "nope"').and.contain("hint: `rrctl pools`");
  });

  it("resets all pools, or some, and none if one of the names is wrong", async () => {
    const before = await pool("echo");
    const all = await server.run("reset");
    expect(all.exitCode).to.equal(0);
    expect(all.out.toString()).to.match(/^echo: serving,[^\n]* booted in [\s\S]*\nhttp: serving/m);
    expect((await server.run("reset", "echo")).out.toString()).to.match(/^echo: serving/);
    const mistyped = await server.run("reset", "echo", "nope");
    expect(mistyped.exitCode).to.equal(4);
    expect(mistyped.err).to.contain('there is no pool "nope"; the pools are: echo, http; none was reset');
    expect((await pool("echo")).generation).to.equal(before.generation + 2);
  });

  it("pauses and resumes", async () => {
    expect((await server.run("pause", "echo")).out.toString()).to.match(/^echo: paused/);
    const refused = await server.run("dispatch", "echo", "--body", "x");
    expect(refused.exitCode).to.equal(6);
    expect(refused.err).to.contain("hint: `rrctl resume echo`");
    expect((await server.run("resume", "echo")).out.toString()).to.match(/^echo: serving/);
  });

  it("adds, restarts, kills and removes single workers", async () => {
    const before = await workers("http");
    expect((await server.run("worker", "add", "http")).out.toString()).to.match(/^http: serving, 3 workers \(3 ready/);

    const restarted = before[0]!.pid;
    const restart = await server.run("worker", "restart", String(restarted));
    expect(restart.out.toString()).to.match(new RegExp(`^http: worker \\d+ took the place of ${restarted}\n$`));
    expect((await workers("http")).filter(({ state }) => state === "ready").map(({ pid }) => pid)).to.not.include(
      restarted,
    );

    const several = await server.run("worker", "restart", ...(await workers("http")).map(({ pid }) => String(pid)));
    expect(several.out.toString().trimEnd().split("\n")).to.have.length(3);

    const killed = (await workers("http"))[0]!.pid;
    expect((await server.run("worker", "kill", String(killed))).exitCode).to.equal(0);
    const gone = await server.run("worker", "kill", String(killed));
    expect(gone.exitCode).to.equal(4);

    expect((await server.run("worker", "remove", "http")).exitCode).to.equal(0);
    expect((await pool("http")).workers_wanted).to.equal(2);
    const last = await server.run("worker", "remove", "echo");
    expect([last.exitCode, last.err]).to.satisfy(
      ([code, err]: [number, string]) => code === 1 && err.includes("only one worker"),
    );
  });

  it("dispatches bytes from standard input and prints the reply as it is", async () => {
    const input = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 256);
    const { exitCode, out } = await rrctl(["dispatch", "echo", "--body-file", "-", "--address", server.address], {
      cwd: server.directory,
      input,
    });
    expect(exitCode).to.equal(0);
    expect(out.equals(input)).to.equal(true);
  });

  it("dispatches a context, and shows the whole reply as JSON", async () => {
    const reply = await server.data<{
      payload: { context: string; body: string };
      pid: number;
      exec_time_seconds: number;
    }>("dispatch", "echo", "--body", "hello", "--context", '{"a":1}', "--codec", "json");
    expect(Buffer.from(reply.payload.body, "base64").toString()).to.equal("hello");
    expect(Buffer.from(reply.payload.context, "base64").toString()).to.equal('{"a":1}');
    expect(reply.exec_time_seconds).to.be.a("number").and.greaterThan(0);
    const verbose = await server.run("dispatch", "echo", "--body", "hello", "-v");
    expect(verbose.out.toString()).to.equal("hello");
    expect(verbose.err).to.match(/^worker \d+, waited .*, ran .*, 5 bytes/);
  });

  it("gives up a call after --timeout", async () => {
    const { exitCode, err } = await server.run("dispatch", "echo", "--body", "sleep", "--timeout", "300ms");
    expect(exitCode).to.equal(1);
    expect(err).to.contain("no answer from").and.contain("within 300 ms").and.contain("hint: --timeout");
    await freeEchoWorker();
  });

  it("ends with 130 when a call is interrupted", async () => {
    const watch = spawnRrctl(
      ["workers", "echo", "-w", "--interval", "100ms", "-o", "json", "--address", server.address],
      {
        cwd: server.directory,
      },
    );
    const call = spawnRrctl(
      ["dispatch", "echo", "--body", "sleep", "--request-id", "r-1", "--address", server.address],
      {
        cwd: server.directory,
      },
    );
    await new Lines(watch.stdout).until((line) => line.includes('"request_id":"r-1"'));
    call.kill("SIGINT");
    watch.kill("SIGINT");
    expect(await ended(call)).to.equal(130);
    expect(await ended(watch)).to.equal(0);
    await freeEchoWorker();
  });

  it("follows events as one JSON object a line, and ends with 0 on Ctrl-C", async () => {
    const { revision } = await server.data<{ revision: string }>("events", "--limit", "1");
    const child = spawnRrctl(
      [
        "events",
        "-f",
        "--pool",
        "http",
        "--type",
        "pool.*",
        "--after",
        revision,
        "-o",
        "json",
        "--address",
        server.address,
      ],
      { cwd: server.directory },
    );
    const lines = new Lines(child.stdout);
    await server.run("reset", "http");
    const event = JSON.parse(await lines.until((line) => line.includes('"pool.reset"')));
    expect(event).to.include({ type: "pool.reset", pool: "http", severity: "info" });
    child.kill("SIGINT");
    expect(await ended(child)).to.equal(0);
  });

  it("lists events by filter, newest of them, as lines for people", async () => {
    await server.run("pause", "echo");
    await server.run("resume", "echo");
    const { out } = await server.run("events", "--type", "pool.resumed", "--limit", "1", "--since", "1m");
    expect(out.toString()).to.match(/^[\d:.]+ +pool\.resumed +echo +[^\n]+\n$/);
    const { events } = await server.data<{ events: { type: string }[] }>("events", "--since", "2000-01-01");
    expect(events.map(({ type }) => type)).to.include.members(["server.started", "worker.ready", "pool.scaled"]);
    const typo = await server.run("events", "--type", "wroker.*");
    expect([typo.exitCode, typo.err.includes('no type of event is "wroker.*"')]).to.deep.equal([2, true]);
    expect((await server.run("events", "--pool", "nope")).exitCode).to.equal(4);
    expect((await server.run("events", "--since", "2099-01-01")).out.toString()).to.equal("No events.\n");
  });

  it("ends quietly when its reader has seen enough", async () => {
    const child = spawnRrctl(["events", "-f", "-o", "json", "--address", server.address], { cwd: server.directory });
    await new Lines(child.stdout).until(() => true);
    child.stdout.destroy();
    const [err, exitCode] = await Promise.all([
      collect(child.stderr),
      ended(child),
      server.run("pause", "echo").then(() => server.run("resume", "echo")),
    ]);
    expect([exitCode, err.toString()]).to.deep.equal([0, ""]);
  });

  it("shows figures, once or at every interval", async () => {
    const { out } = await server.run("stats");
    expect(out.toString()).to.match(/^up +[\s\S]*\nPOOL +STATUS +EXECS/);
    const child = spawnRrctl(["stats", "-w", "--interval", "100ms", "-o", "json", "--address", server.address], {
      cwd: server.directory,
    });
    const lines = new Lines(child.stdout);
    const first = JSON.parse(await lines.until(() => true));
    const second = JSON.parse(await lines.until(() => true));
    expect(second.stats.uptime_seconds).to.be.greaterThan(first.stats.uptime_seconds);
    child.kill("SIGINT");
    expect(await ended(child)).to.equal(0);
  });

  it("goes on watching when the server is started anew", async () => {
    const own = await startServer();
    const watches = [
      ["events", "-f"],
      ["workers", "-w", "--interval", "100ms"],
      ["pools", "-w"],
    ].map((argv) => spawnRrctl([...argv, "-o", "json", "--address", own.address], { cwd: own.directory }));
    const feeds = watches.map(({ stdout }) => new Lines(stdout));
    const told = watches.map(({ stderr }) => new Lines(stderr));
    let again: Awaited<ReturnType<typeof serveIn>> | undefined;
    try {
      await Promise.all(feeds.map((feed) => feed.until(() => true)));
      own.child.kill("SIGTERM");
      await ended(own.child);
      await Promise.all(told.map((lines) => lines.until((line) => line.includes("does not answer any more"))));
      again = await serveIn(own.directory);
      await Promise.all(told.map((lines) => lines.until((line) => line.includes("answers again"))));
      await feeds[0]!.until((line) => JSON.parse(line).type === "server.started");
      await feeds[1]!.until((line) => JSON.parse(line).workers?.length === 3);
    } finally {
      for (const watch of watches) watch.kill("SIGINT");
      await Promise.all(watches.map(ended));
      await again?.dispose();
      await own.dispose();
    }
  });

  it("prints YAML", async () => {
    expect((await server.run("pools", "-o", "yaml")).out.toString()).to.match(/^pools:\n {2}- name: echo\n/);
  });

  it("completes pool names in bash by asking the server", async function () {
    if (!hasShell("bash")) {
      console.log("      skipped: there is no bash to try it in");
      return this.skip();
    }
    const directory = await mkdtemp(join(tmpdir(), "rrctl-shell-"));
    try {
      const program = join(directory, "rrctl");
      await writeFile(
        program,
        `#!/bin/sh\nexec ${process.execPath} --import ${import.meta.resolve("tsx")} ${join(ROOT, "cli/main.ts")} "$@"\n`,
      );
      await chmod(program, 0o755);
      const script = [
        'source <(rrctl completion bash) && COMP_WORDS=(rrctl scale "") && COMP_CWORD=2',
        '_rrctl_complete && echo "${' + 'COMPREPLY[*]}"',
        // Candidates are no patterns for names of files.
        'COMP_WORDS=(rrctl events --type work) && COMP_CWORD=3 && _rrctl_complete && echo "${' + 'COMPREPLY[*]}"',
      ].join("\n");
      await writeFile(join(directory, "worker.php"), "");
      const out = execFileSync("bash", ["-c", script], {
        cwd: directory,
        encoding: "utf8",
        env: { ...process.env, PATH: `${directory}:${process.env.PATH}`, RRCTL_ADDRESS: server.address },
      });
      expect(out).to.equal("echo http\nworker.*\n");
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe("rrctl without a server", function () {
  this.timeout(60_000);
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "rrctl-none-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("says where it looked and what to do, with exit code 6", async () => {
    const address = `unix://${join(directory, "no.sock")}`;
    const { exitCode, out, err } = await rrctl(["workers"], { cwd: directory, env: { RRCTL_ADDRESS: address } });
    expect([exitCode, out.length]).to.deep.equal([6, 0]);
    expect(err).to.equal(
      `error: cannot reach the core at ${address} (RRCTL_ADDRESS): there is no such socket\n` +
        "hint: is `rrctl serve` running? Start it, or name its address with --address, RRCTL_ADDRESS or -c <its .rr.yaml>\n",
    );
  });

  it("prints its help", async () => {
    const { exitCode, out } = await rrctl(["--help"], { cwd: directory });
    expect(exitCode).to.equal(0);
    expect(out.toString()).to.contain("Exit codes: 0 done");
  });
});

describe("rrctl from nothing to a response", function () {
  this.timeout(60_000);
  before(function () {
    if (hasPhp) return;
    console.log("    skipped: php is not installed, and these tests run real workers");
    this.skip();
  });

  it("init, serve, request, stop", async () => {
    const directory = await mkdtemp(join(tmpdir(), "rrctl-init-"));
    const { exitCode, out } = await rrctl(["init"], { cwd: directory });
    expect([exitCode, out.toString()]).to.satisfy(
      ([code, text]: [number, string]) => code === 0 && text.includes("rrctl serve"),
    );
    const overrides = ["http.address=127.0.0.1:0", "control.listen=tcp://127.0.0.1:0", "rpc.listen=tcp://127.0.0.1:0"];
    const server = await serveIn(
      directory,
      overrides.flatMap((override) => ["-o", override]),
    );
    try {
      const response = await fetch(`${server.httpUrl}/some/path`);
      expect([response.status, await response.text()]).to.satisfy(
        ([status, text]: [number, string]) => status === 200 && text.includes("You asked for /some/path."),
      );
      const stopped = await server.run("stop");
      expect(stopped.out.toString()).to.match(new RegExp(`^The server \\(pid ${server.pid}\\) stopped after .*\\.\n$`));
      expect(stopped.exitCode).to.equal(0);
      // It was waited for: the process is gone already, with exit code 0.
      expect(await ended(server.child)).to.equal(0);
      expect((await server.run("info")).exitCode).to.equal(6);
    } finally {
      await server.dispose();
    }
  });

  it("serves a site of plain scripts after init", async () => {
    const directory = await mkdtemp(join(tmpdir(), "rrctl-site-"));
    await writeFile(join(directory, "index.php"), "<?php echo 'Hello ' . $_GET['name'];");
    await rrctl(["init"], { cwd: directory });
    const overrides = ["http.address=127.0.0.1:0", "control.listen=tcp://127.0.0.1:0", "rpc.listen=tcp://127.0.0.1:0"];
    const server = await serveIn(
      directory,
      overrides.flatMap((override) => ["-o", override]),
    );
    try {
      expect(await (await fetch(`${server.httpUrl}/?name=World`)).text()).to.equal("Hello World");
    } finally {
      await server.dispose();
    }
  });

  it("explains a worker that cannot start, with exit code 1", async () => {
    const directory = await mkdtemp(join(tmpdir(), "rrctl-broken-"));
    try {
      await rrctl(["init"], { cwd: directory });
      await writeFile(join(directory, "worker.php"), "<?php this is not PHP");
      const { exitCode, err } = await rrctl(
        [
          "serve",
          "-o",
          "http.address=127.0.0.1:0",
          "-o",
          "control.listen=tcp://127.0.0.1:0",
          "-o",
          "rpc.listen=tcp://127.0.0.1:0",
        ],
        { cwd: directory },
      );
      expect(exitCode).to.equal(1);
      expect(err)
        .to.contain("php worker.php")
        .and.match(/Parse error|syntax error/);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("writes .pid while it serves, and stops at once without waiting when told so", async () => {
    const server = await startServer(["--pid"]);
    try {
      const { readFile, access } = await import("node:fs/promises");
      expect(await readFile(join(server.directory, ".pid"), "utf8")).to.equal(String(server.pid));
      const { pid } = await server.data<{ pid: number }>("stop", "--no-wait", "--timeout", "1s");
      expect(pid).to.equal(server.pid);
      expect(await ended(server.child)).to.equal(0);
      expect(await access(join(server.directory, ".pid")).catch((error) => error.code)).to.equal("ENOENT");
    } finally {
      await server.dispose();
    }
  });
});
