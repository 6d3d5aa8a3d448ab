import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { expect } from "chai";
import { eventually, within } from "../support/eventually.ts";
import { needsPhp, ROOT, skip } from "../support/php.ts";
import { freePort } from "../support/pool-options.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";
import { isAlive } from "../support/test-pool.ts";

const LIMIT_MS = 10_000;

/** Who starts a server for somebody ends it when that somebody is gone. */
describe("A server whose starter is gone", function () {
  this.timeout(90_000);
  let npm: ChildProcess | undefined;

  before(function () {
    needsPhp(this);
    if (process.platform === "win32") return skip(this, "the system tells nobody of the end of a parent");
  });
  afterEach(async () => {
    npm?.kill("SIGKILL");
    npm = undefined;
    await stopServers();
  });

  it("ends as by SIGTERM: a shell between that was killed", async () => {
    // The second command keeps the shell from becoming the server itself.
    const server = await ServerProcess.start({}, ["-p"], ["sh", "-c", '"$@"; true', "sh"]);
    const { processes } = await server.client.server.getServerInfo({});
    const pids = processes.map(({ pid }) => pid);
    expect(pids).not.to.include(server.pid);
    server.signal("SIGTERM");
    await eventually("the server was gone", () => !pids.some(isAlive), LIMIT_MS);
    expect(server.log.map(({ event }) => event)).to.include("process.orphaned");
  });

  it("frees its ports when npm start is ended", async () => {
    const [http, control] = [await freePort(), await freePort()];
    const argv = ["start", "--silent", "--", "--http-port", String(http), "--control-port", String(control)];
    npm = spawn("npm", argv, { cwd: ROOT, stdio: ["ignore", "pipe", "ignore"] });
    let output = "";
    npm.stdout!.on("data", (chunk) => {
      output += chunk;
    });
    await eventually("it served", () => output.includes("It works"), 60_000);
    const gone = once(npm, "exit");
    npm.kill("SIGTERM");
    await within(LIMIT_MS, "npm was gone", gone);
    await eventually("nobody listened", async () => !(await listens(http)) && !(await listens(control)), LIMIT_MS);
  });
});

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
