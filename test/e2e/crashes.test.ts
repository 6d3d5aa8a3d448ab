import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "chai";
import { EXIT_BUG } from "../../src/life/stop-request.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { needsPhp, ROOT } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";
import { isAlive } from "../support/test-pool.ts";

const LIMIT_MS = 10_000;

/** What nobody caught, in a process of the server. */
describe("A bug of the server's own", function () {
  this.timeout(40_000);
  let directory: string;

  before(function () {
    needsPhp(this);
    directory = mkdtempSync(join(tmpdir(), "rr-crash-"));
  });
  afterEach(stopServers);
  after(() => {
    if (directory) rmSync(directory, { recursive: true });
  });

  const start = async (kind: "exception" | "rejection") => {
    const file = join(mkdtempSync(join(directory, "run-")), "crash");
    const plant = pathToFileURL(join(ROOT, "test/fixtures/throws-on-demand.mjs")).href;
    const through = ["env", `NODE_OPTIONS=--import ${plant}`, `CRASH_FILE=${file}`, `CRASH_KIND=${kind}`];
    return { file, server: await ServerProcess.start({}, [], through) };
  };
  const crashes = (server: ServerProcess) => server.log.filter(({ event }) => event === "process.crashed");
  /** A request that runs until `release`. */
  const hold = async (server: ServerProcess) => {
    const path = join(server.directory, "release");
    const answer = send(`${server.httpUrl}/hold?${path}`);
    await eventually("it ran", async () => (await server.pool()).workersWorking === 1);
    return { answer, release: () => writeFileSync(path, "") };
  };

  for (const kind of ["exception", "rejection"] as const)
    it(`in the core ends it in order, with a code of its own and the stack in the log (${kind})`, async () => {
      const { file, server } = await start(kind);
      const { processes } = await server.client.server.getServerInfo({});
      const pids = [...processes.map(({ pid }) => pid), ...(await server.pids())];
      const { answer, release } = await hold(server);
      writeFileSync(`${file}.core`, "");
      await eventually("it was logged", () => crashes(server).length === 1);
      release();
      expect((await answer).body).to.equal("released");
      expect(await server.ended(LIMIT_MS)).to.deep.equal({ code: EXIT_BUG, signal: null });
      expect(crashes(server)[0]).to.have.property("stack").that.contains("throws-on-demand.mjs");
      expect(pids.filter(isAlive)).to.deep.equal([]);
    });

  it("in a frontend ends that frontend alone, after what runs, and another one takes its place", async () => {
    const { file, server } = await start("exception");
    const { answer, release } = await hold(server);
    writeFileSync(`${file}.frontend`, "");
    await eventually("it was logged", () => crashes(server).length === 1);
    release();
    expect((await answer).body).to.equal("released");
    await eventually(
      "another frontend answered",
      async () => (await send(`${server.httpUrl}/echo?on`).catch(() => undefined))?.body === "on",
    );
    expect((await server.events("frontend.exited")).map(({ attributes }) => attributes.exit_code)).to.deep.equal([
      String(EXIT_BUG),
    ]);
  });
});
