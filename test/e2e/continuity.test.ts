import { rmSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import type { RrError } from "../../src/errors.ts";
import { eventually } from "../support/eventually.ts";
import { HttpLoad, type LoadResult, send } from "../support/http-load.ts";
import { needsPhp } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const CONNECTIONS = 32;

/** Nobody who sends GET requests notices what operators and accidents do to the workers. */
describe("A load of GET requests", function () {
  this.timeout(60_000);
  let server: ServerProcess;
  let load: HttpLoad;

  before(async function () {
    needsPhp(this, "posix");
    server = await ServerProcess.start({ pool: { num_workers: 2 }, logs: { level: "info" } });
  });
  after(stopServers);

  async function underLoad(whatHappens: () => Promise<void>): Promise<LoadResult> {
    load = new HttpLoad(`${server.httpUrl}/pid`, CONNECTIONS);
    await flows(200);
    await whatHappens();
    await flows(200);
    const result = await load.end();
    await server.whole();
    return result;
  }

  /** So many responses more: the load does not stand still. */
  async function flows(responses: number): Promise<void> {
    const before = load.responses;
    await eventually("responses came", () => load.responses >= before + responses);
  }

  function expectNoFailure({ statuses, failures }: LoadResult): void {
    expect(failures).to.deep.equal([]);
    expect([...statuses.keys()]).to.deep.equal([200]);
  }

  it("does not notice ten resets", async () => {
    const result = await underLoad(async () => {
      for (let round = 0; round < 10; round++) {
        await server.client.pools.resetPool({ pool: "http" });
        await flows(50);
      }
    });
    expectNoFailure(result);
    expect((await server.pool()).generation).to.equal(11);
  });

  it("does not notice scaling from 2 to 8 and back", async () => {
    const result = await underLoad(async () => {
      await server.client.pools.scalePool({ pool: "http", workers: 8 });
      expect((await server.workers()).length).to.be.at.least(8);
      await flows(100);
      await server.client.pools.scalePool({ pool: "http", workers: 2 });
      await eventually("two workers were left", async () => (await server.workers()).length === 2);
    });
    expectNoFailure(result);
  });

  it("does not notice ten workers killed one after another", async () => {
    let killed = 0;
    const result = await underLoad(async () => {
      while (killed < 10) {
        const working = (await server.workers()).find(({ executions }) => executions > 0n);
        if (!working) continue;
        process.kill(working.pid, "SIGKILL");
        killed++;
        await eventually("another took its place", async () => {
          const workers = await server.workers();
          return workers.length >= 2 && workers.every(({ pid }) => pid !== working.pid);
        });
        await flows(20);
      }
    });
    expectNoFailure(result);
    const exited = (await server.events("worker.exited")).filter(({ attributes }) => attributes.signal === "SIGKILL");
    expect(exited).to.have.length(10);
  });

  it("does not notice a reset whose new workers cannot boot", async () => {
    const file = `${server.directory}/deployed`;
    writeFileSync(file, "");
    const fragile = await ServerProcess.start({ script: `boots-while.php ${file}`, pool: { num_workers: 2 } });
    const before = await fragile.pids();
    const served = new HttpLoad(`${fragile.httpUrl}/pid`, CONNECTIONS);
    await eventually("it was loaded", () => served.responses > 200);
    rmSync(file);
    const error = await fragile.client.pools.resetPool({ pool: "http" }).then(
      () => undefined,
      (thrown: RrError) => thrown,
    );
    expect(error?.reason).to.equal("BOOT_FAILED");
    expect(error?.message).to.contain("the file is not there");
    const { responses } = served;
    await eventually("the old ones went on", () => served.responses > responses + 200);
    expectNoFailure(await served.end());
    expect(await fragile.pids()).to.have.members(before);
    expect(await fragile.events("pool.reset_failed")).to.have.length(1);
  });

  it("keeps its port when the frontend is killed, and goes on with the next one", async () => {
    const frontendPid = async () =>
      (await server.client.server.getServerInfo({})).processes.find(({ pid }) => pid !== server.pid)?.pid;
    const first = await frontendPid();
    load = new HttpLoad(`${server.httpUrl}/pid`, CONNECTIONS, { retryBroken: true });
    await flows(200);
    process.kill(first!, "SIGKILL");
    await eventually("another frontend was there", async () => {
      const pid = await frontendPid();
      return pid !== undefined && pid !== first;
    });
    await flows(200);
    const { statuses, failures } = await load.end();
    expect(failures).to.deep.equal([]);
    expect([...statuses.keys()]).to.deep.equal([200]);
    const [exited] = await server.events("frontend.exited");
    expect(exited?.attributes.signal).to.equal("SIGKILL");
    expect((await send(`${server.httpUrl}/echo?on`)).body).to.equal("on");
    await server.whole();
  });
});

describe("SIGTERM", function () {
  this.timeout(30_000);
  before(function () {
    needsPhp(this);
  });
  afterEach(stopServers);

  it("lets running requests finish, takes no new connections, ends with 0", async () => {
    const server = await ServerProcess.start({ pool: { num_workers: 2 } });
    const file = `${server.directory}/release`;
    const { existsSync, readdirSync, writeFileSync } = await import("node:fs");
    const running = send(`${server.httpUrl}/hold?${file}`);
    await eventually("the request ran", () =>
      readdirSync(server.directory).some((name) => name.startsWith("release.")),
    );
    server.signal("SIGTERM");
    await eventually("new connections were refused", () =>
      send(`${server.httpUrl}/echo`).then(
        () => false,
        (error: NodeJS.ErrnoException) => error.code === "ECONNREFUSED" || error.code === "ECONNRESET",
      ),
    );
    expect(existsSync(file)).to.equal(false);
    writeFileSync(file, "");
    const { status, body } = await running;
    expect([status, body]).to.deep.equal([200, "released"]);
    expect(await server.ended(5_000)).to.deep.equal({ code: 0, signal: null });
  });

  it("a second time ends at once", async () => {
    const server = await ServerProcess.start({ pool: { num_workers: 1, stop_grace: "300ms" } });
    const running = send(`${server.httpUrl}/sleep?60000`).then(
      () => "answered",
      () => "broken",
    );
    await eventually("the request ran", async () => (await server.pool()).workersWorking === 1);
    const pids = await server.pids();
    server.signal("SIGTERM");
    await server.logLine(({ msg }) => msg.includes("asked to end"));
    server.signal("SIGTERM");
    expect((await server.ended(5_000)).code).to.equal(1);
    expect(await running).to.equal("broken");
    const { isAlive } = await import("../support/test-pool.ts");
    await eventually("the workers were gone", () => !pids.some(isAlive));
  });
});
