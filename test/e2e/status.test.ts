import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { HttpLoad, send } from "../support/http-load.ts";
import { needsPhp, phpFixture } from "../support/php.ts";
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

  it("tells of all pools, of single ones, and of none that nobody knows", async () => {
    const server = await start();
    const well = (name: string) => ({ plugin_name: name, error_message: "", status_code: 200 });
    expect(await check(server, "/health")).to.deep.equal({ status: 200, json: [well("http"), well("second")] });
    expect(await check(server, "/ready?plugin=second")).to.deep.equal({ status: 200, json: [well("second")] });
    expect(await check(server, "/health?plugin=nobody")).to.deep.equal({ status: 200, json: [] });
    expect(await check(server, "/jobs")).to.deep.equal({ status: 503, json: "jobs plugin not found" });
    expect((await check(server, "/else")).status).to.equal(404);
  });

  it("says that nobody is free while all workers are busy", async () => {
    const server = await start({
      status: { address: "127.0.0.1:0", unavailable_status_code: 500 },
      pool: { num_workers: 1 },
    });
    const slow = send(`${server.httpUrl}/sleep?1000`);
    await eventually("the worker was busy", async () => (await check(server, "/ready?plugin=http")).status === 500);
    expect((await check(server, "/health?plugin=http")).status).to.equal(200);
    expect((await slow).status).to.equal(200);
    await eventually("the worker was free", async () => (await check(server, "/ready?plugin=http")).status === 200);
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
