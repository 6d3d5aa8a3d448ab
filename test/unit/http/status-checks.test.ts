import { expect } from "chai";
import {
  type Check,
  type CoreHealth,
  checkResults,
  type ReportedHealth,
  unreachable,
} from "../../../src/http/status-checks.ts";

const well: ReportedHealth = { healthy: true, ready: true, reason: "" };
const paused: ReportedHealth = { healthy: true, ready: false, reason: "the pool is paused" };
const gone: ReportedHealth = { healthy: false, ready: false, reason: "the pool has no workers" };
const degraded: ReportedHealth = { healthy: true, ready: true, reason: "new workers do not boot" };

const core = (pools: Record<string, ReportedHealth>, server = well, started = true): CoreHealth => ({
  started,
  server,
  pools,
});

/** "name code reason" of each entry. */
function told(check: Check, cores: readonly CoreHealth[], wanted: readonly string[] = [], ending = false): string[] {
  const results = checkResults(check, cores, { wanted, ending, unavailableStatus: 503 });
  return results.map(({ plugin_name, status_code, error_message }) =>
    `${plugin_name} ${status_code} ${error_message}`.trim(),
  );
}

describe("Checks of the status address", () => {
  it("are well of every pool that is", () => {
    const cores = [core({ jobs: well, http: well })];
    expect(told("health", cores)).to.deep.equal(["http 200", "jobs 200"]);
    expect(told("ready", cores)).to.deep.equal(["http 200", "jobs 200"]);
    expect(told("startup", cores)).to.deep.equal(["server 200"]);
  });

  it("say why a pool is not ready, or what is wrong although it is", () => {
    const cores = [core({ gone, http: paused, old: degraded })];
    expect(told("ready", cores)).to.deep.equal([
      "gone 503 the pool has no workers",
      "http 503 the pool is paused",
      "old 200 new workers do not boot",
    ]);
    expect(told("health", cores)).to.deep.equal([
      "gone 503 the pool has no workers",
      "http 200 the pool is paused",
      "old 200 new workers do not boot",
    ]);
  });

  it("take a name that nobody knows for a mistake, and name those that there are", () => {
    const cores = [core({ jobs: well, http: well })];
    for (const check of ["health", "ready"] as const)
      expect(told(check, cores, ["jobs", "htpp"])).to.deep.equal([
        "jobs 200",
        'htpp 404 there is no pool "htpp"; the pools are: "http", "jobs"',
      ]);
    expect(told("ready", [core({})], ["http"])).to.deep.equal(['http 404 there is no pool "http"; there are none']);
    expect(told("ready", cores, ["constructor"])[0]).to.contain("404");
  });

  it("say what a server does that starts, and of no pool that it is ready", () => {
    const starting: ReportedHealth = { healthy: false, ready: false, reason: "the server is starting" };
    const cores = [core({ http: starting }, starting, false)];
    expect(told("ready", cores)).to.deep.equal([
      "server 503 the server is starting",
      "http 503 the server is starting",
    ]);
    expect(told("ready", cores, ["http"])).to.deep.equal(["http 503 the server is starting"]);
    expect(told("startup", cores)).to.deep.equal(["server 503 the server is starting"]);
  });

  it("say that nobody answers HTTP, whatever the pools are", () => {
    const outage: ReportedHealth = { healthy: true, ready: false, reason: "no HTTP frontend takes connections" };
    expect(told("ready", [core({ http: well }, outage)], ["http"])).to.deep.equal([
      "http 503 no HTTP frontend takes connections",
    ]);
  });

  it("are never an empty list", () => {
    expect(told("health", [core({})])).to.deep.equal(["server 200"]);
    expect(told("ready", [core({})])).to.deep.equal(["server 200"]);
    expect(unreachable("connection refused", 503)).to.deep.equal([
      { plugin_name: "server", error_message: "connection refused", status_code: 503 },
    ]);
  });

  it("of frontends that end are not ready, though their cores are", () => {
    expect(told("ready", [core({ http: well })], [], true)).to.deep.equal([
      "server 503 the server is stopping",
      "http 503 the server is stopping",
    ]);
    expect(told("health", [core({ http: well })], [], true)).to.deep.equal(["http 200"]);
  });

  it("of several cores are well where one is", () => {
    const drained: ReportedHealth = { healthy: true, ready: false, reason: "the server is drained" };
    const [one, other] = [core({ http: paused, jobs: well }), core({ http: well, jobs: gone })];
    expect(told("ready", [one, other])).to.deep.equal(["http 200", "jobs 200"]);
    expect(told("ready", [core({ http: drained }, drained), one])).to.deep.equal([
      "http 503 the server is drained",
      "jobs 200",
    ]);
    expect(told("health", [core({ http: gone }), core({ http: paused })])[0]).to.contain("http 200");
  });
});
