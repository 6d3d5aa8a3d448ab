import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { compiledRrctl } from "../support/compiled-server.ts";
import { eventually, within } from "../support/eventually.ts";
import { phpFixture } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

/** Nothing that happens to where logs go may keep requests from being answered. */
describe("Troubles of the log", function () {
  this.timeout(30_000);
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-log-troubles-"));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));
  afterEach(stopServers);

  async function answers(url: string, count = 20): Promise<void> {
    for (let number = 0; number < count; number++) {
      const response = await fetch(`${url}/echo?${number}`, { signal: AbortSignal.timeout(5_000) });
      expect([response.status, await response.text()]).to.deep.equal([200, String(number)]);
    }
  }

  const start = (...output: string[]) =>
    ServerProcess.start({ http: { access_logs: true }, logs: { output, level: "info" } });

  function requests(path: string): number {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line.includes('"http access log"')).length;
  }

  it("a device without room: all is answered, it is told once and in an event", async function () {
    if (!existsSync("/dev/full")) this.skip();
    const server = await start("/dev/full", "stderr");
    await answers(server.httpUrl);
    const line = await server.logLine(({ channel, place }) => channel === "log" && place === "/dev/full");
    expect([line.level, line.msg]).to.satisfy(([level, msg]: string[]) => level === "error" && /ENOSPC/.test(msg!));
    await server.client.pools.resetPool({ pool: "http" });
    await eventually("the core told it in an event", async () => (await server.events("log.failing")).length > 0);
    // Once by the core and once by the frontend.
    expect(server.log.filter(({ channel }) => channel === "log")).to.have.length.of.at.most(2);
    await server.stop();
  });

  it("a small file system that fills up: what was dropped is counted, and lines go on when there is room", async function () {
    const mount = join(directory, "small");
    mkdirSync(mount);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], { stdio: "ignore" });
    } catch {
      this.skip();
    }
    try {
      const path = join(mount, "rr.log");
      const server = await start(path, "stderr");
      writeFileSync(join(mount, "other"), Buffer.alloc(48 * 1024));
      await answers(server.httpUrl, 80);
      await server.logLine(({ channel, msg }) => channel === "log" && /ENOSPC/.test(msg));
      rmSync(join(mount, "other"));
      await eventually("all lines were written", () => requests(path) === 80);
      await server.logLine(({ channel, msg }) => channel === "log" && /again; 0 lines were dropped/.test(msg));
      await server.stop();
    } finally {
      execFileSync("umount", ["-l", mount]);
    }
  });

  it("a folder that is removed, and a file that is moved away", async () => {
    const folder = join(directory, "removed/logs");
    const path = join(folder, "rr.log");
    const server = await start(path, "stderr");
    await answers(server.httpUrl);
    rmSync(join(directory, "removed"), { recursive: true });
    await eventually("the file was made anew", async () => {
      await answers(server.httpUrl, 1);
      return existsSync(path);
    });
    renameSync(path, `${path}.1`);
    await eventually("the file was made anew", async () => {
      await answers(server.httpUrl, 1);
      return existsSync(path);
    });
    await answers(server.httpUrl, 5);
    await eventually("the lines were written", () => requests(path) >= 5);
    expect(server.log.filter(({ channel }) => channel === "log")).to.deep.equal([]);
    await server.stop();
  });

  it("a file that is moved away, and SIGUSR1: it is there again before the next line", async function () {
    if (process.platform === "win32") this.skip();
    const path = join(directory, "rotated.log");
    const server = await start(path, "stderr");
    await answers(server.httpUrl, 3);
    await eventually("the lines were written", () => requests(path) === 3);
    renameSync(path, `${path}.1`);
    server.signal("SIGUSR1");
    await eventually("the file was made anew", () => existsSync(path));
    await answers(server.httpUrl, 3);
    await eventually("the lines were written", () => requests(path) === 3);
    await server.stop();
  });

  it("a fifo that nobody reads", async function () {
    if (process.platform === "win32") this.skip();
    const path = join(directory, "fifo");
    execFileSync("mkfifo", [path]);
    const server = await start(path, "stderr");
    await answers(server.httpUrl);
    await server.logLine(({ place }) => place === path);
    await server.stop();
  });

  describe("of standard streams", () => {
    const homes: string[] = [];
    afterEach(() => {
      for (const home of homes.splice(0))
        if (existsSync(join(home, ".pid"))) process.kill(Number(readFileSync(join(home, ".pid"), "utf8")), "SIGKILL");
    });

    /** `rrctl serve` under a shell, whose script gets its command as "$@". */
    async function start(
      script: string,
      output: "ignore" | Socket = "ignore",
    ): Promise<{ child: ChildProcess; url: string; path: string; end: () => Promise<number | null> }> {
      const home = mkdtempSync(join(directory, "shell-"));
      homes.push(home);
      const path = join(home, "rr.log");
      const port = 21_000 + Math.floor(Math.random() * 20_000);
      const configuration = {
        version: "3",
        server: { command: `php ${phpFixture("worker.php")}` },
        http: { address: `127.0.0.1:${port}`, access_logs: true, pool: { num_workers: 2 } },
        control: { listen: "tcp://127.0.0.1:0" },
        logs: { mode: "production", level: "info", output: ["stderr", "stdout", path] },
      };
      writeFileSync(join(home, ".rr.yaml"), JSON.stringify(configuration));
      const command = [process.execPath, await compiledRrctl(), "serve", "-p"];
      const child = spawn("bash", ["-c", script, "bash", ...command], {
        cwd: home,
        stdio: ["ignore", output, output],
      });
      const exited = once(child, "exit").then(([code]) => code as number | null);
      const url = `http://127.0.0.1:${port}`;
      await eventually(
        "it answered",
        () =>
          answers(url, 1).then(
            () => true,
            () => false,
          ),
        15_000,
      );
      const end = async () => {
        process.kill(Number(readFileSync(join(home, ".pid"), "utf8")), "SIGTERM");
        return within(10_000, "it ended", exited);
      };
      return { child, url, path, end };
    }

    const WAYS: Readonly<Record<string, string>> = {
      "readers that have seen enough": `set -o pipefail; "$@" 2>&1 | head -3 >/dev/null`,
      "closed standard streams": `exec "$@" >&- 2>&-`,
      "a reader of standard output that leaves": `set -o pipefail; "$@" 2>/dev/null | true`,
      "a reader that reads nothing": `mkfifo pipe; exec 3<>pipe; exec "$@" 2>pipe`,
    };
    it("a socket that nobody reads, as that of a log collector", async () => {
      const path = join(directory, "collector.sock");
      const collector = createServer({ pauseOnConnect: true }).listen(path);
      await once(collector, "listening");
      const ends: Socket[] = [];
      collector.on("connection", (socket) => ends.push(socket));
      const socket = connect(path);
      await once(socket, "connect");
      try {
        const { url, end } = await start(`exec "$@"`, socket);
        await answers(url, 600);
        expect(await end()).to.equal(0);
      } finally {
        socket.destroy();
        for (const one of ends) one.destroy();
        collector.close();
      }
    });

    for (const [name, script] of Object.entries(WAYS))
      it(name, async () => {
        const { url, path, end } = await start(script);
        // Long enough to fill a pipe that nobody reads.
        await answers(url, name.includes("nothing") ? 300 : 30);
        await eventually("the file has the lines", () => requests(path) >= 30);
        expect(await end()).to.equal(0);
      });
  });
});
