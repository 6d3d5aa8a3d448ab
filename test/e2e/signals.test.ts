import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { ServerState } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { eventually, within } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { needsPhp, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";
import { isAlive } from "../support/test-pool.ts";

const LIMIT_MS = 8_000;
const DEBUGGER_PORT = 9229;

/** What operators, service managers and terminals send. */
describe("Signals to a server", function () {
  this.timeout(30_000);

  before(function () {
    needsPhp(this);
    if (process.platform === "win32") return skip(this, "there are no such signals");
  });
  afterEach(stopServers);

  const frontendPids = async (server: ServerProcess) => {
    const { processes } = await server.client.server.getServerInfo({});
    return processes.map(({ pid }) => pid).filter((pid) => pid !== server.pid);
  };

  for (const signal of ["SIGHUP", "SIGUSR2"] as const)
    it(`${signal} brings new workers, and no request is lost`, async () => {
      const server = await ServerProcess.start();
      const before = await server.pids();
      const running = send(`${server.httpUrl}/sleep?500`);
      await eventually("it ran", async () => (await server.pool()).workersWorking === 1);
      server.signal(signal);
      await eventually("the pool was reset", async () => (await server.pool()).generation === 2);
      expect((await running).body).to.equal("slept");
      await server.whole();
      expect((await server.pids()).filter((pid) => before.includes(pid))).to.deep.equal([]);
      const [event] = await server.events("server.signalled");
      expect(event?.attributes).to.deep.equal({ signal });
    });

  it("SIGUSR1 opens no debugger, neither in the core nor in a frontend", async () => {
    const server = await ServerProcess.start();
    const [frontend] = await frontendPids(server);
    for (const pid of [server.pid, frontend!]) process.kill(pid, "SIGUSR1");
    expect((await send(`${server.httpUrl}/echo?still`)).body).to.equal("still");
    expect(await canConnect(DEBUGGER_PORT)).to.equal(false);
    expect(server.output.join("\n")).not.to.contain("Debugger listening");
  });

  it("SIGUSR1 opens the files of the log again, in core and frontend", async () => {
    const directory = mkdtempSync(join(tmpdir(), "rr-logs-"));
    try {
      const file = join(directory, "server.log");
      const server = await ServerProcess.start({ logs: { output: file }, http: { access_logs: true } });
      renameSync(file, `${file}.1`);
      server.signal("SIGUSR1");
      await eventually("there was a new file", () => existsSync(file));
      await eventually("both write there", async () => {
        await send(`${server.httpUrl}/echo?again`);
        await server.client.pools.resetPool({ pool: "http" });
        const text = existsSync(file) ? readFileSync(file, "utf8") : "";
        return text.includes("/echo?again") && text.includes("generation");
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it("to a frontend end none: the core decides", async () => {
    const server = await ServerProcess.start();
    const before = await frontendPids(server);
    for (const signal of ["SIGHUP", "SIGUSR2", "SIGINT", "SIGTERM", "SIGQUIT"] as const)
      process.kill(before[0]!, signal);
    expect((await send(`${server.httpUrl}/echo?still`)).body).to.equal("still");
    expect(await frontendPids(server)).to.deep.equal(before);
  });

  it("SIGQUIT ends it as SIGTERM does", async () => {
    const server = await ServerProcess.start();
    const running = send(`${server.httpUrl}/sleep?500`);
    await eventually("it ran", async () => (await server.pool()).workersWorking === 1);
    server.signal("SIGQUIT");
    expect((await running).body).to.equal("slept");
    expect(await server.ended(LIMIT_MS)).to.deep.equal({ code: 0, signal: null });
  });

  it("SIGHUP of a terminal that is closed ends it, and what runs is finished", async function () {
    if (!existsSync("/usr/bin/script")) return skip(this, "script(1) is not installed");
    // script(1) makes a terminal, which is closed when script is gone.
    const through = ["sh", "-c", 'exec script -qec "$*" /dev/null >&2', "sh"];
    const server = await ServerProcess.start({}, ["-p"], through);
    const pid = Number(readFileSync(join(server.directory, ".pid"), "utf8"));
    const release = join(server.directory, "release");
    const running = send(`${server.httpUrl}/hold?${release}`);
    await eventually("it ran", async () => (await server.pool()).workersWorking === 1);
    server.signal("SIGKILL");
    await eventually("the server was ending", () =>
      server.client.server.getServerInfo({}).then(({ state }) => state === ServerState.STOPPING),
    );
    writeFileSync(release, "");
    expect((await within(LIMIT_MS, "the request was answered", running)).body).to.equal("released");
    await eventually("the server was gone", () => !isAlive(pid), LIMIT_MS);
  });
});

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
