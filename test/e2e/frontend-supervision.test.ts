import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { FrontendState } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { needsPhp, needsTime } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

/** Whatever happens to frontends, and to what they need: they come back, and it is told why they are not there. */
describe("HTTP frontends", function () {
  this.timeout(60_000);
  let directory: string;

  before(function () {
    needsPhp(this);
    if (process.platform !== "linux") this.skip();
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-test-front-"));
  });
  afterEach(async () => {
    await stopServers();
    rmSync(directory, { recursive: true, force: true });
  });

  const infoOf = (server: ServerProcess) => server.client.server.getServerInfo({});
  const served = (server: ServerProcess) =>
    send(`${server.httpUrl}/pid`).then(
      ({ status }) => status === 200,
      () => false,
    );

  it("come back when they can be started again, and it is known meanwhile that nobody listens", async () => {
    const node = join(directory, "node");
    copyFileSync(process.execPath, node);
    const server = await ServerProcess.launch({}, [], { node });
    await server.serving();
    renameSync(node, `${node}.away`);
    const [before] = (await infoOf(server)).frontends;
    process.kill(before!.pid, "SIGKILL");
    const info = await eventually("the outage was told", async () => {
      const now = await infoOf(server);
      return now.health?.server?.reason.includes("was not found") && now;
    });
    expect(info.frontends[0]).to.deep.include({ state: FrontendState.WAITING, pid: 0 });
    const [event] = await server.events("frontend.start_failed");
    expect(event!.message).to.contain(node).and.contain("tried again");
    renameSync(`${node}.away`, node);
    await eventually("HTTP was served again", () => served(server), 15_000);
    expect((await infoOf(server)).health?.server).to.deep.include({ ready: true, reason: "" });
  });

  it("that do nothing any more are replaced", async function () {
    needsTime(this, 20);
    const server = await ServerProcess.start({});
    const { pid } = (await infoOf(server)).frontends[0]!;
    process.kill(pid, "SIGSTOP");
    await eventually("another one serves", () => served(server), 40_000);
    const [event] = await server.events("frontend.exited");
    expect(event).to.deep.include({ reason: "FRONTEND_HUNG", pid });
  });

  for (const what of ["its socket", "the whole folder"])
    it(`find the core again after somebody tidied up ${what}`, async () => {
      const base = join(directory, "run");
      mkdirSync(base, { mode: 0o700 });
      const server = await ServerProcess.launch({}, [], { env: { RUNTIME_DIRECTORY: base } });
      await server.serving();
      const [name] = readdirSync(base);
      const folder = join(base, name!);
      expect(existsSync(join(folder, "core.sock"))).to.equal(true);
      rmSync(what === "its socket" ? join(folder, "core.sock") : folder, { recursive: true });
      expect(await served(server), "who is connected stays so").to.equal(true);
      const [before] = (await infoOf(server)).frontends;
      process.kill(before!.pid, "SIGKILL");
      await eventually("HTTP was served again", () => served(server), 15_000);
      expect((await server.events("server.socket_lost")).length).to.be.greaterThan(0);
      // New workers find a place for their pipes, too.
      await server.client.pools.resetPool({ pool: "http" });
      expect(await served(server)).to.equal(true);
      await server.stop();
      expect(readdirSync(base)).to.deep.equal([]);
    });

  it("and workers of killed servers leave nothing that the next start does not remove", async () => {
    const base = join(directory, "run");
    const temporary = join(directory, "tmp");
    for (const folder of [base, temporary]) mkdirSync(folder, { mode: 0o700 });
    const env = { RUNTIME_DIRECTORY: base, TMPDIR: temporary };
    const other = await ServerProcess.launch({}, [], { env });
    await other.serving();
    const kept = readdirSync(base);
    for (const script of ["worker.php", "slow-boot.php"]) {
      const killed = await ServerProcess.launch({ script }, [], { env });
      if (script === "worker.php") await killed.serving();
      else await eventually("it boots", () => readdirSync(base).length > kept.length);
      killed.signal("SIGKILL");
      await killed.ended();
    }
    expect(readdirSync(base).length).to.be.greaterThan(kept.length);
    const next = await ServerProcess.launch({}, [], { env });
    await next.serving();
    expect(await served(other), "that of a live server stays").to.equal(true);
    await next.stop();
    expect(readdirSync(base)).to.deep.equal(kept);
    await other.stop();
    expect([readdirSync(base), readdirSync(temporary).filter((name) => name.startsWith("rr-"))]).to.deep.equal([
      [],
      [],
    ]);
  });
});
