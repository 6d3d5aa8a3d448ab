import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { needsPhp, ROOT, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const LIMIT_MS = 8_000;
/** Process numbers of its own, as in a container. The whole of it ends with its process 1. */
const UNSHARE = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"];
const INIT = join(ROOT, "examples/container/init.sh");

/** `rrctl serve` as process 1: the system sends it only signals that it listens for, and gives it all orphans. */
describe("Process 1 of a container", function () {
  this.timeout(30_000);
  let through: string[];

  before(function () {
    needsPhp(this, "pcntl", "posix");
    const root = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
    through = [...UNSHARE, ...root];
    const { status, stderr, error } = spawnSync(through[0]!, [...through.slice(1), "true"], { encoding: "utf8" });
    if (status !== 0) skip(this, `no process namespaces can be made here: ${error?.message ?? stderr.trim()}`);
  });
  afterEach(async () => {
    for (const pid of started.splice(0)) killQuietly(pid);
    await stopServers();
  });

  const started: number[] = [];

  /** The server, and the number by which its process 1 is known outside. */
  async function start(command: string[] = []): Promise<[ServerProcess, number]> {
    const server = await ServerProcess.start({ pool: { num_workers: 2 } }, [], [...through, ...command]);
    const [pid] = childrenOf(server.pid);
    started.push(pid!);
    return [server, pid!];
  }

  async function runningRequest(server: ServerProcess) {
    const file = join(server.directory, "release");
    const answer = send(`${server.httpUrl}/hold?${file}`).then(
      ({ body }) => body,
      () => "broken",
    );
    await eventually("the request ran", () =>
      readdirSync(server.directory).some((name) => name.startsWith("release.")),
    );
    return { answer, release: () => writeFileSync(file, "") };
  }

  for (const [name, command] of [
    ["rrctl", []],
    ["init.sh", [INIT]],
  ] as const)
    describe(name, () => {
      it("ends with 0 on SIGTERM, when what runs is finished", async () => {
        const [server, pid] = await start([...command]);
        const { answer, release } = await runningRequest(server);
        process.kill(pid, "SIGTERM");
        await server.logLine(({ msg }) => msg.startsWith("asked to end"));
        release();
        expect(await answer).to.equal("released");
        expect(await server.ended(LIMIT_MS)).to.deep.equal({ code: 0, signal: null });
      });

      it("ends with 1 on a second one, at once", async () => {
        const [server, pid] = await start([...command]);
        const { answer } = await runningRequest(server);
        process.kill(pid, "SIGTERM");
        await server.logLine(({ msg }) => msg.startsWith("asked to end"));
        process.kill(pid, "SIGTERM");
        expect((await server.ended(LIMIT_MS)).code).to.equal(1);
        expect(await answer).to.equal("broken");
      });
    });

  it("says what is missing, and warns of ended processes that nobody collects", async () => {
    const [server, pid] = await start();
    const [first] = server.log;
    expect(first).to.include({ event: "process.first" });
    await send(`${server.httpUrl}/daemon?50`);
    const warning = await server.logLine(({ event }) => event === "process.zombies", "the zombie was noticed");
    expect(warning).to.include({ level: "warn", count: 1 });
    expect(warning.msg).to.contain("--init");
    expect(childrenOf(pid).filter(isZombie)).to.have.length(1);
  });

  it("collects them with init.sh before it", async () => {
    const [server, pid] = await start([INIT]);
    const workers = await server.pids();
    for (let round = 0; round < 5; round++) await send(`${server.httpUrl}/daemon?${50 * round}`);
    await eventually("all had ended and were collected", () => childrenOf(pid).length === 1);
    expect(childrenOf(pid).filter(isZombie)).to.deep.equal([]);
    expect(await server.pids()).to.deep.equal(workers);
    expect(server.log.some(({ event }) => event === "process.first")).to.equal(false);
  });
});

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").filter(Boolean).map(Number);
}

function isZombie(pid: number): boolean {
  try {
    return /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
