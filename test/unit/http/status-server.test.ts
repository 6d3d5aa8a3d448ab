import { expect } from "chai";
import { PoolState } from "../../../gen/roadrunner/pool/v1/pool_pb.ts";
import { checkPools, joinPools } from "../../../src/http/status-server.ts";

describe("status of pools", () => {
  const common = { state: PoolState.SERVING, debug: false };
  const pools = [
    { name: "http", workersReady: 0, workersWorking: 2 },
    { name: "jobs", workersReady: 1, workersWorking: 0 },
    { name: "gone", workersReady: 0, workersWorking: 0 },
  ].map((pool) => ({ ...common, ...pool }));
  const codes = (...args: Parameters<typeof checkPools>) =>
    Object.fromEntries(checkPools(...args).map(({ plugin_name, status_code }) => [plugin_name, status_code]));

  it("is healthy with a worker, ready with a free one", () => {
    expect(codes("health", pools, [], true, 503)).to.deep.equal({ http: 200, jobs: 200, gone: 503 });
    expect(codes("ready", pools, [], true, 500)).to.deep.equal({ http: 500, jobs: 200, gone: 500 });
  });

  it("is told of the pools that are asked for; unknown ones are left out", () => {
    expect(codes("health", pools, ["jobs", "nobody"], true, 503)).to.deep.equal({ jobs: 200 });
  });

  it("is well with debug, where workers come when they are needed", () => {
    const debug = { name: "http", state: PoolState.SERVING, debug: true, workersReady: 0, workersWorking: 0 };
    expect(codes("ready", [debug], [], true, 503)).to.deep.equal({ http: 200 });
    expect(codes("health", [{ ...debug, state: PoolState.DRAINING }], [], true, 503)).to.deep.equal({ http: 503 });
  });

  it("is not ready in a server that stops, but healthy", () => {
    expect(codes("ready", pools, ["jobs"], false, 503)).to.deep.equal({ jobs: 503 });
    expect(codes("health", pools, ["jobs"], false, 503)).to.deep.equal({ jobs: 200 });
  });
});

describe("pools of several cores", () => {
  const pool = (name: string, workersReady: number, state: PoolState = PoolState.SERVING) => ({
    name,
    state,
    debug: false,
    workersReady,
    workersWorking: 1,
  });

  it("count together", () => {
    const joined = joinPools([
      { serving: true, pools: [pool("http", 2, PoolState.PAUSED), pool("jobs", 1)] },
      { serving: true, pools: [pool("http", 3)] },
    ]);
    expect(joined).to.deep.equal([{ ...pool("http", 5), workersWorking: 2 }, pool("jobs", 1)]);
  });

  it("count only where the core serves, as long as one does", () => {
    const [serving, stopping] = [
      { serving: true, pools: [pool("http", 0)] },
      { serving: false, pools: [pool("http", 4)] },
    ];
    expect(joinPools([stopping, serving]).map(({ workersReady }) => workersReady)).to.deep.equal([0]);
    expect(joinPools([stopping]).map(({ workersReady }) => workersReady)).to.deep.equal([4]);
    expect(joinPools([])).to.deep.equal([]);
  });
});
