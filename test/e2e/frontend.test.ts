import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { compiledRrctl } from "../support/compiled-server.ts";
import { eventually } from "../support/eventually.ts";
import { HttpLoad, type LoadResult, send } from "../support/http-load.ts";
import { needsPhp, ROOT } from "../support/php.ts";
import { freePort } from "../support/pool-options.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const CONNECTIONS = 16;

/** `rrctl frontend`: HTTP here, pools elsewhere. */
describe("Frontends alone", function () {
  this.timeout(60_000);
  let ports: number[];
  let cores: ServerProcess[];
  let frontend: ServerProcess;

  const startCore = (port: number) =>
    ServerProcess.start(
      { controlListen: `tcp://127.0.0.1:${port}`, endure: { drain_delay: "600ms" }, logs: { level: "info" } },
      ["--no-frontends"],
    );

  beforeEach(async function () {
    needsPhp(this, "posix");
    ports = await Promise.all([freePort(), freePort()]);
    cores = await Promise.all(ports.map(startCore));
    const list = ports.map((port) => `127.0.0.1:${port}`).join(",");
    const status = { address: "127.0.0.1:0" };
    frontend = await ServerProcess.startFrontend({ status, http: { frontends: 2 } }, ["--core", list]);
  });
  afterEach(stopServers);

  const expectNoFailure = ({ statuses, failures }: LoadResult) => {
    expect(failures).to.deep.equal([]);
    expect([...statuses.keys()]).to.deep.equal([200]);
  };
  const flows = async (load: HttpLoad, responses: number) => {
    const before = load.responses;
    await eventually("responses came", () => load.responses >= before + responses);
  };
  const executions = async (core: ServerProcess) =>
    (await core.workers()).reduce((sum, worker) => sum + Number(worker.executions), 0);

  it("serve from the pools of all cores, and have none of their own", async () => {
    expect(cores[0]!.address("http")).to.equal(undefined);
    expect(frontend.address("control")).to.equal(undefined);
    const load = new HttpLoad(`${frontend.httpUrl}/pid`, CONNECTIONS);
    await flows(load, 400);
    expectNoFailure(await load.end());
    const counts = await Promise.all(cores.map(executions));
    for (const count of counts) expect(count).to.be.greaterThan(100);
    const body = "x".repeat(3_000_000);
    const { body: answer } = await send(`${frontend.httpUrl}/body`, { method: "POST", body });
    expect(answer).to.match(/^3000000 /);
  });

  it("lose no GET request when a core is killed and comes back", async () => {
    const load = new HttpLoad(`${frontend.httpUrl}/pid`, CONNECTIONS);
    await flows(load, 200);
    cores[0]!.signal("SIGKILL");
    await cores[0]!.ended();
    await flows(load, 200);
    cores[0] = await startCore(ports[0]!);
    await eventually("it got work again", async () => (await executions(cores[0]!)) > 50);
    expectNoFailure(await load.end());
    const lost = frontend.log.filter(({ event }) => event === "core.lost");
    expect(lost[0]).to.include({ level: "warn", core: `tcp://127.0.0.1:${ports[0]}` });
  });

  it("lose no request at all, POST or GET, when cores end gracefully one after the other", async () => {
    const load = new HttpLoad(`${frontend.httpUrl}/pid`, CONNECTIONS, { method: "POST" });
    for (const at of [0, 1]) {
      await flows(load, 200);
      cores[at]!.signal("SIGTERM");
      expect((await cores[at]!.ended()).code).to.equal(0);
      await flows(load, 200);
      cores[at] = await startCore(ports[at]!);
      await eventually("it got work again", async () => (await executions(cores[at]!)) > 20);
    }
    expectNoFailure(await load.end());
  });

  it("answer 503 within seconds when all cores are gone, and are not ready", async () => {
    const ready = async () => (await send(`${frontend.address("status")}/ready`)).status;
    expect(await ready()).to.equal(200);
    await Promise.all(cores.map((core) => core.stop()));
    const startedMs = performance.now();
    const { status, headers } = await send(`${frontend.httpUrl}/pid`);
    expect(status).to.equal(503);
    expect(Number(headers["retry-after"])).to.be.greaterThan(0);
    expect(performance.now() - startedMs).to.be.within(2_000, 8_000);
    expect(await ready()).to.equal(503);
    cores = [await startCore(ports[0]!)];
    await eventually("requests were answered", async () => (await send(`${frontend.httpUrl}/pid`)).status === 200);
    await eventually("they were ready", async () => (await ready()) === 200);
  });

  it("end on SIGTERM when what runs has finished", async () => {
    const slow = send(`${frontend.httpUrl}/sleep?700`);
    await eventually("it ran", async () =>
      (await Promise.all(cores.map((core) => core.pool()))).some(({ workersWorking }) => workersWorking === 1),
    );
    frontend.signal("SIGTERM");
    expect((await slow).status).to.equal(200);
    expect((await frontend.ended()).code).to.equal(0);
    for (const core of cores) await core.whole();
  });

  it("run as docs/frontends.md says", async () => {
    const text = readFileSync(join(ROOT, "docs/frontends.md"), "utf8");
    const lines = /^```sh\n([\s\S]*?)^```$/m.exec(text)![1]!.trimEnd().split("\n");
    const used = { "6002": await freePort(), "6003": await freePort(), "8080": await freePort() };
    const here = (line: string) => line.replace(/\b(6002|6003|8080)\b/g, (port) => String(used[port as "8080"]));
    const rrctl = await compiledRrctl();
    const started = lines.slice(0, 3).map((line) => {
      const [program, ...words] = here(line).split(" ");
      expect(program).to.equal("rrctl");
      const address = words[0] === "frontend" ? ["-o", `http.address=127.0.0.1:${used["8080"]}`] : [];
      return spawn(process.execPath, [rrctl, ...words, ...address], { cwd: ROOT, stdio: "ignore" });
    });
    try {
      const url = here(lines[3]!).replace("curl ", "");
      await eventually("it was served", async () => (await send(url).catch(() => undefined))?.status === 200, 15_000);
    } finally {
      for (const child of started.reverse()) {
        child.kill("SIGTERM");
        if (child.exitCode === null) await once(child, "exit");
      }
    }
    expect(started.map(({ exitCode }) => exitCode)).to.deep.equal([0, 0, 0]);
  });

  it("are started again when one of them is killed", async () => {
    const load = new HttpLoad(`${frontend.httpUrl}/pid`, CONNECTIONS, { retryBroken: true });
    await flows(load, 100);
    const { pid } = await frontend.logLine(({ msg }) => /HTTP frontend \d+ takes connections/.test(msg));
    process.kill(pid as number, "SIGKILL");
    await frontend.logLine(({ msg }) => msg === `HTTP frontend ${pid} ended by itself and is started again`);
    await flows(load, 200);
    expectNoFailure(await load.end());
  });
});
