import { execFile } from "node:child_process";
import { connect, type Socket } from "node:net";
import { promisify } from "node:util";
import { expect } from "chai";
import { ServerState } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { compiledRrctl } from "../support/compiled-server.ts";
import { eventually } from "../support/eventually.ts";
import { needsPhp, phpFixture } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";
import { isAlive } from "../support/test-pool.ts";

const GRACE_MS = 3_000;
/** The grace period and a second: what the documentation promises, and what is not exact on a busy machine. */
const GONE_WITHIN_MS = 4_000;
const ENDURE = { grace_period: `${GRACE_MS}ms` };

/** However a server is busy when it is asked to end, it is gone when the time is over. */
describe("The one deadline of an end", function () {
  this.timeout(60_000);
  const sockets: Socket[] = [];

  before(function () {
    needsPhp(this);
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await stopServers();
  });

  /** Asks, and expects the server to be gone in time, with all its processes. */
  const goneInTime = async (server: ServerProcess, ask: () => unknown, pids: readonly number[] = []) => {
    await ask();
    const startMs = performance.now();
    expect(await server.ended(GONE_WITHIN_MS + 6_000)).to.deep.equal({ code: 0, signal: null });
    expect(performance.now() - startMs).to.be.lessThan(GONE_WITHIN_MS);
    expect(pids.filter(isAlive)).to.deep.equal([]);
  };
  const term = (server: ServerProcess) => () => server.signal("SIGTERM");
  const processesOf = async (server: ServerProcess) => [
    ...(await server.client.server.getServerInfo({})).processes.map(({ pid }) => pid),
    ...(await server.pids()),
  ];
  const say = (server: ServerProcess, text: string) => {
    const socket = connect(server.httpPort, "127.0.0.1", () => socket.write(text, "latin1"));
    sockets.push(socket.on("error", () => {}));
    return socket;
  };

  /** A request of 20 s, an upload of which little comes, and a download that nobody reads. */
  const occupy = async (server: ServerProcess) => {
    say(server, "GET /sleep?20000 HTTP/1.1\r\nHost: x\r\n\r\n").resume();
    say(server, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\nbegin").resume();
    say(
      server,
      'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 900000\r\n\r\n--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nbegin',
    ).resume();
    say(server, "GET /large?20000 HTTP/1.1\r\nHost: x\r\n\r\n").pause();
    await eventually("workers were busy", async () => (await server.pool()).workersWorking >= 2);
  };
  const busy = (extra: Parameters<typeof ServerProcess.start>[0] = {}) =>
    ServerProcess.start({ endure: ENDURE, pool: { num_workers: 4 }, ...extra });

  for (const [name, ask] of [
    ["SIGTERM", async (server: ServerProcess) => server.signal("SIGTERM")],
    [
      "rrctl stop --timeout",
      async (server: ServerProcess) => {
        void promisify(execFile)(process.execPath, [
          ...[await compiledRrctl(), "stop", "--timeout", `${GRACE_MS}ms`, "--address", server.controlAddress],
        ]).catch(() => {});
        // From here on the time counts: rrctl itself takes a while to start.
        await eventually("it was asked", async () => {
          const { state } = await server.client.server.getServerInfo({});
          return state === ServerState.STOPPING;
        });
      },
    ],
  ] as const)
    it(`holds with a long request, slow uploads and a slow download (${name})`, async () => {
      const server = await busy(name === "SIGTERM" ? {} : { endure: { grace_period: "60s" } });
      await occupy(server);
      const pids = await processesOf(server);
      await goneInTime(server, () => ask(server), pids);
    });

  it("holds with a delay for load balancers that is longer", async () => {
    const server = await busy({ endure: { ...ENDURE, drain_delay: "30s" } });
    await occupy(server);
    await goneInTime(server, term(server), await processesOf(server));
  });

  it("holds with a frontend that hangs", async () => {
    const server = await busy();
    await occupy(server);
    const pids = await processesOf(server);
    const { processes } = await server.client.server.getServerInfo({});
    process.kill(processes.find(({ pid }) => pid !== server.pid)!.pid, "SIGSTOP");
    await goneInTime(server, term(server), pids);
  });

  it("holds with workers that ignore every request to end, idle and busy ones", async () => {
    const server = await busy({ script: "ignores-stop.php" });
    const pids = await processesOf(server);
    await goneInTime(server, term(server), pids);
  });

  it("holds with watches and calls of operators that have no end", async () => {
    const server = await busy();
    const watch = server.client.pools.watchPools({})[Symbol.asyncIterator]();
    await watch.next();
    await goneInTime(server, term(server), await processesOf(server));
    await watch.next().catch(() => {});
  });

  describe("while the server starts", () => {
    const starting = async (extra: Parameters<typeof ServerProcess.launch>[0], said: string) => {
      const server = await ServerProcess.launch({ endure: ENDURE, ...extra });
      await eventually("it had come so far", () => server.output.join("\n").includes(said), 15_000);
      return server;
    };

    it("holds while on_init runs and ignores SIGTERM", async () => {
      const command = `php ${phpFixture("hangs-at-init.php")}`;
      const server = await starting({ server: { on_init: { command, exec_timeout: "60s" } } }, "init hangs");
      await goneInTime(server, term(server));
    });

    it("holds while workers boot", async () => {
      const server = await starting({ script: "says-and-hangs.php", pool: { allocate_timeout: "60s" } }, "boot hangs");
      await goneInTime(server, term(server));
    });

    it("holds for a signal at any moment of it", async () => {
      const moments = [0, 200, 400, 700, 1_000, 1_400, 1_900, 2_500];
      await Promise.all(
        moments.map(async (afterMs) => {
          const server = await starting({ script: "slow-boot.php" }, "");
          await new Promise((resolve) => setTimeout(resolve, afterMs));
          const startMs = performance.now();
          server.signal("SIGTERM");
          const { code, signal } = await server.ended();
          // Before it listens for signals the system ends it.
          expect([0, null]).to.include(code);
          expect([null, "SIGTERM"]).to.include(signal);
          expect(performance.now() - startMs).to.be.lessThan(GONE_WITHIN_MS);
        }),
      );
    });
  });
});
