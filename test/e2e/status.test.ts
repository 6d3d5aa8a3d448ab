import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerState } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { connectCore } from "../../src/client/core-client.ts";
import { eventually } from "../support/eventually.ts";
import { HttpLoad, send } from "../support/http-load.ts";
import { needsPhp, phpFixture } from "../support/php.ts";
import { freePort } from "../support/pool-options.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

/** What load balancers see. */
describe("The status section", function () {
  this.timeout(60_000);

  beforeEach(function () {
    needsPhp(this);
  });
  afterEach(stopServers);

  const start = (extra: Parameters<typeof ServerProcess.start>[0] = {}) =>
    ServerProcess.start({
      status: { address: "127.0.0.1:0" },
      pools: { second: { command: `php ${phpFixture("worker.php")}`, num_workers: 1 } },
      ...extra,
    });
  const check = async (server: ServerProcess, path: string) => {
    const { status, body } = await send(`${server.address("status")}${path}`);
    return { status, json: body.startsWith("[") ? JSON.parse(body) : body };
  };

  it("tells of all pools, of single ones, and of a name that nobody knows", async () => {
    const server = await start();
    const well = (name: string) => ({ plugin_name: name, error_message: "", status_code: 200 });
    expect(await check(server, "/health")).to.deep.equal({ status: 200, json: [well("http"), well("second")] });
    expect(await check(server, "/ready?plugin=second")).to.deep.equal({ status: 200, json: [well("second")] });
    const unknown = await check(server, "/ready?plugin=nobody");
    expect(unknown.status).to.equal(404);
    expect(unknown.json[0].error_message).to.equal('there is no pool "nobody"; the pools are: "http", "second"');
    for (const path of ["/live", "/startup"])
      expect(await check(server, path)).to.deep.equal({ status: 200, json: [well("server")] });
    expect(await check(server, "/jobs")).to.deep.equal({ status: 503, json: "jobs plugin not found" });
    expect((await check(server, "/else")).status).to.equal(404);
  });

  it("says that a pool is ready whose workers are all busy: calls wait for them", async () => {
    const server = await start({ pool: { num_workers: 1 } });
    const slow = send(`${server.httpUrl}/sleep?700`);
    await eventually("the worker was busy", async () => (await server.pool()).workersWorking === 1);
    expect((await check(server, "/ready?plugin=http")).status).to.equal(200);
    expect((await check(server, "/health?plugin=http")).status).to.equal(200);
    expect((await slow).status).to.equal(200);
  });

  it("says the same of a paused pool and of a drained server as gRPC and rrctl, with the reason", async () => {
    const server = await start({ status: { address: "127.0.0.1:0", unavailable_status_code: 500 } });
    const { client } = server;
    const grpc = async (service: string) => (await client.health.check({ service })).status === ServingStatus.SERVING;
    const told = async (path: string) => {
      const { status, json } = await check(server, path);
      return [status, json[0].error_message];
    };
    await client.pools.pausePool({ pool: "http" });
    const paused = 'the pool is paused: "rrctl resume http"';
    expect(await told("/ready?plugin=http")).to.deep.equal([500, paused]);
    expect((await told("/ready"))[0]).to.equal(500);
    expect(await told("/health?plugin=http")).to.deep.equal([200, paused]);
    expect([await grpc("http"), await grpc("second"), await grpc("")]).to.deep.equal([false, true, false]);
    expect((await client.server.getServerInfo({})).health?.pools.http?.reason).to.equal(paused);
    await client.pools.resumePool({ pool: "http" });
    expect([(await told("/ready"))[0], await grpc("")]).to.deep.equal([200, true]);

    await client.server.drain({});
    const drained = 'the server is drained: "rrctl undrain" lets it take calls again';
    expect(await told("/ready")).to.deep.equal([500, drained]);
    expect(await grpc("second")).to.equal(false);
    expect((await send(server.httpUrl)).status).to.equal(503);
    const { code } = await client.pools.resumePool({ pool: "http" }).then(
      () => ({ code: "resumed" }),
      ({ reason }) => ({ code: reason }),
    );
    expect(code).to.equal("FAILED_PRECONDITION");
    // A deployment with nothing running.
    await client.pools.resetPool({ pool: "http" });
    expect((await client.server.undrain({})).state).to.equal(ServerState.SERVING);
    expect((await told("/ready"))[0]).to.equal(200);
    expect((await send(`${server.httpUrl}/echo?again`)).body).to.equal("again");
  });

  it("is open, and so is the control address, while on_init runs and workers boot", async () => {
    const [status, control] = [await freePort(), await freePort()];
    await ServerProcess.launch({
      status: { address: `127.0.0.1:${status}` },
      controlListen: `tcp://127.0.0.1:${control}`,
      server: { on_init: { command: "sleep 2", exec_timeout: "20s" } },
      script: "slow-boot.php",
    });
    const ask = async (path: string) => {
      const answer = await send(`http://127.0.0.1:${status}${path}`).catch(() => undefined);
      return (
        answer && `${answer.status} ${answer.body.startsWith("[") ? JSON.parse(answer.body)[0].error_message : ""}`
      );
    };
    const starting = 'the server is starting and waits for the end of server.on_init "sleep 2"';
    await eventually("on_init was waited for", async () => (await ask("/ready")) === `503 ${starting}`, 15_000);
    expect(await ask("/startup")).to.equal(`503 ${starting}`);
    expect(await ask("/live")).to.equal("200 ");
    expect(await ask("/health?plugin=http")).to.equal(`503 ${starting}`);
    const client = connectCore(`tcp://127.0.0.1:${control}`);
    const info = await client.server.getServerInfo({});
    expect([info.state, info.health?.server?.reason]).to.deep.equal([ServerState.STARTING, starting]);
    client.close();
    await eventually("it was ready", async () => (await ask("/ready")) === "200 ", 15_000);
    expect(await ask("/startup")).to.equal("200 ");
  });

  it("keeps a drain that was asked for while it started", async () => {
    const control = await freePort();
    const server = await ServerProcess.launch({
      controlListen: `tcp://127.0.0.1:${control}`,
      server: { on_init: { command: "sleep 1", exec_timeout: "20s" } },
    });
    const client = connectCore(`tcp://127.0.0.1:${control}`);
    const state = () => client.server.getServerInfo({}).then((info) => info.state);
    await eventually("it started", async () => (await state().catch(() => undefined)) === ServerState.STARTING, 15_000);
    await client.server.drain({});
    await server.serving();
    expect(await state()).to.equal(ServerState.DRAINING);
    expect((await send(server.httpUrl)).status).to.equal(503);
    await client.server.undrain({});
    expect((await send(`${server.httpUrl}/echo?on`)).body).to.equal("on");
    client.close();
  });

  it("tells until the end that the server ends", async () => {
    const server = await start({ endure: { grace_period: "20s" } });
    const release = join(server.directory, "release");
    const running = send(`${server.httpUrl}/hold?${release}`);
    await eventually("it ran", async () => (await server.pool()).workersWorking === 1);
    server.signal("SIGTERM");
    await eventually("readiness failed", async () => (await check(server, "/ready")).status === 503);
    expect((await check(server, "/ready")).json[0].error_message).to.equal("the server is stopping");
    writeFileSync(release, "");
    expect((await running).body).to.equal("released");
    expect((await server.ended()).code).to.equal(0);
  });

  it("fails readiness first when the server stops, and no request is lost", async () => {
    const server = await start({ endure: { drain_delay: "1500ms" } });
    const load = new HttpLoad(`${server.httpUrl}/echo?hello`, 8, { retryBroken: true });
    await eventually("requests ran", () => load.responses > 50);
    server.signal("SIGTERM");
    await eventually("readiness failed", async () => (await check(server, "/ready")).status === 503);
    // Still accepting: a new connection is served.
    expect((await send(`${server.httpUrl}/echo?new`)).status).to.equal(200);
    expect((await check(server, "/health")).status).to.equal(200);
    const { failures, statuses } = await load.end();
    expect(failures).to.deep.equal([]);
    expect([...statuses.keys()]).to.deep.equal([200]);
    expect((await server.ended()).code).to.equal(0);
  });
});
