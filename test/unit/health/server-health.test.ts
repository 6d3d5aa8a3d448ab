import { expect } from "chai";
import { isReady, type PoolFacts, type ServerFacts, serverHealth } from "../../../src/health/server-health.ts";
import { SERVER_STATES, ServerLife } from "../../../src/health/server-state.ts";
import { POOL_STATE_NAMES } from "../../../src/pool/pool-state.ts";

const pool = (changes: Partial<PoolFacts> = {}): PoolFacts => ({
  name: "http",
  state: "serving",
  stateReason: "",
  debug: false,
  workers: 4,
  workersWanted: 4,
  ...changes,
});
const health = (changes: Partial<ServerFacts> = {}) =>
  serverHealth({
    state: "serving",
    started: true,
    waitsFor: "",
    frontendOutage: undefined,
    pools: [pool()],
    ...changes,
  });
const ofPool = (changes: Partial<PoolFacts>) => health({ pools: [pool(changes)] }).pools.http!;

describe("The health of a server", () => {
  it("is well when it serves, its frontends answer and its pools take calls", () => {
    expect(health()).to.deep.equal({
      state: "serving",
      started: true,
      server: { healthy: true, ready: true, reason: "" },
      pools: { http: { healthy: true, ready: true, reason: "" } },
    });
    expect(isReady(health())).to.equal(true);
  });

  it("has a rule for every state of a pool, and a reason for each in which it takes no calls", () => {
    for (const state of POOL_STATE_NAMES) {
      const { ready, reason } = ofPool({ state });
      // What a degraded pool lacks, it says itself.
      const takesCalls = state === "serving" || state === "degraded";
      expect([ready, reason === ""], state).to.deep.equal([takesCalls, takesCalls]);
    }
  });

  it("is not ready as long as one pool is not", () => {
    expect(isReady(health({ pools: [pool(), pool({ name: "jobs", state: "paused" })] }))).to.equal(false);
  });

  it("tells the cause that a pool has itself", () => {
    const { healthy, ready, reason } = ofPool({ state: "failing", workers: 0, stateReason: "a parse error in a.php" });
    expect({ healthy, ready }).to.deep.equal({ healthy: false, ready: false });
    expect(reason).to.contain("fail to boot").and.contain("a parse error in a.php");
  });

  it("of a pool with debug needs no worker", () => {
    expect(ofPool({ debug: true, workers: 0 })).to.include({ healthy: true, ready: true });
  });

  it("says what a start waits for, and how far the pools are", () => {
    const starting = health({
      state: "starting",
      started: false,
      waitsFor: 'the end of server.on_init "php init.php"',
      pools: [pool({ state: "booting", workers: 1 })],
    });
    const reason = 'the server is starting and waits for the end of server.on_init "php init.php"';
    expect(starting.server).to.deep.equal({ healthy: false, ready: false, reason });
    expect(starting.pools.http).to.deep.equal({ healthy: true, ready: false, reason });
  });

  it("is not ready in every state but one, and every other has its reason", () => {
    for (const state of SERVER_STATES) {
      const { server, pools } = health({ state });
      expect([server.ready, pools.http!.ready], state).to.deep.equal([state === "serving", state === "serving"]);
      expect(server.reason === "", state).to.equal(state === "serving");
    }
  });

  it("is not ready while nobody answers HTTP; its pools are, for others than HTTP", () => {
    const { server, pools } = health({ frontendOutage: "no HTTP frontend takes connections" });
    expect(server).to.deep.equal({ healthy: true, ready: false, reason: "no HTTP frontend takes connections" });
    expect(pools.http?.ready).to.equal(true);
  });
});

describe("The life of a server", () => {
  it("goes from its start to its end", () => {
    const life = new ServerLife();
    expect([life.state, life.started]).to.deep.equal(["starting", false]);
    expect(life.start()).to.deep.equal({ drained: false });
    expect([life.state, life.started]).to.deep.equal(["serving", true]);
    life.stop();
    life.stop();
    expect(life.state).to.equal("stopping");
  });

  it("can be drained and undrained", () => {
    const life = new ServerLife();
    life.start();
    expect(life.drain()).to.equal(true);
    expect(life.drain()).to.equal(true);
    expect(life.state).to.equal("draining");
    expect(life.undrain()).to.equal(true);
    expect(life.undrain()).to.equal(true);
    expect(life.state).to.equal("serving");
  });

  it("does not forget a drain that was asked for too early", () => {
    const life = new ServerLife();
    expect(life.drain()).to.equal(false);
    expect(life.state).to.equal("starting");
    expect(life.start()).to.deep.equal({ drained: true });
    expect(life.state).to.equal("draining");
    const other = new ServerLife();
    other.drain();
    other.undrain();
    expect(other.start()).to.deep.equal({ drained: false });
  });

  it("cannot come back from its end", () => {
    const life = new ServerLife();
    life.stop();
    expect(life.undrain()).to.equal(false);
    expect(life.state).to.equal("stopping");
    expect(() => life.start()).to.throw("cannot go from stopping to serving");
  });
});
