import type { ServerStateName } from "./server-state.ts";

/**
 * Whether the server and its pools work and take calls, and why not: the one place that decides, for the checks over HTTP,
 * for gRPC's health service, for `rrctl` and for frontends that choose among cores.
 */

export interface HealthReport {
  /** A pool has workers; the server has started and does not end. */
  readonly healthy: boolean;
  /** It takes calls. That all workers are busy is no reason not to: calls wait. */
  readonly ready: boolean;
  /** Why it is not, or what is wrong although it is; "" if nothing is. */
  readonly reason: string;
}

export interface ServerHealth {
  readonly state: ServerStateName;
  /** Its start has come to its end. */
  readonly started: boolean;
  /** Apart from the pools. */
  readonly server: HealthReport;
  readonly pools: Readonly<Record<string, HealthReport>>;
}

export interface ServerFacts {
  readonly state: ServerStateName;
  readonly started: boolean;
  /** What a start waits for: `server.on_init "php init.php"`. */
  readonly waitsFor: string;
  /** Why nobody can be served by HTTP; undefined if all is well, or nobody is to be. */
  readonly frontendOutage: string | undefined;
  readonly pools: readonly PoolFacts[];
}

export interface PoolFacts {
  readonly name: string;
  readonly state: PoolStateName;
  /** What is wrong with it; "" if nothing is. */
  readonly stateReason: string;
  /** Each call gets a worker of its own. */
  readonly debug: boolean;
  /** Workers that are there for calls, busy or not. */
  readonly workers: number;
  readonly workersWanted: number;
}

type PoolStateName = keyof typeof POOL_RULES;

/** Whether a pool takes calls in a state, and why not. */
const POOL_RULES = {
  booting: { ready: false, why: ({ workers, workersWanted }) => `${workers} of ${workersWanted} workers are ready` },
  serving: { ready: true, why: () => "" },
  degraded: { ready: true, why: () => "" },
  paused: { ready: false, why: ({ name }) => `the pool is paused: "rrctl resume ${name}"` },
  failing: { ready: false, why: () => "the pool has no workers because they fail to boot" },
  draining: { ready: false, why: () => "the pool takes no new calls" },
  stopped: { ready: false, why: () => "the pool has stopped" },
} as const satisfies Record<string, { ready: boolean; why: (pool: PoolFacts) => string }>;

export function serverHealth({ state, started, waitsFor, frontendOutage, pools }: ServerFacts): ServerHealth {
  const problem = serverProblem(state, waitsFor);
  return {
    state,
    started,
    server: {
      healthy: started && state !== "stopping",
      ready: problem === "" && frontendOutage === undefined,
      reason: problem || (frontendOutage ?? ""),
    },
    pools: Object.fromEntries(pools.map((pool) => [pool.name, poolHealth(pool, problem)])),
  };
}

/** Whether a pool takes calls, apart from what its server does: a busy one does, they wait. */
export function takesCalls(state: PoolFacts["state"]): boolean {
  return POOL_RULES[state].ready;
}

/** Whether all of it takes calls. */
export function isReady({ server, pools }: ServerHealth): boolean {
  return server.ready && Object.values(pools).every(({ ready }) => ready);
}

function serverProblem(state: ServerStateName, waitsFor: string): string {
  switch (state) {
    case "starting":
      return `the server is starting and waits for ${waitsFor}`;
    case "serving":
      return "";
    case "draining":
      return 'the server is drained: "rrctl undrain" lets it take calls again';
    case "stopping":
      return "the server is stopping";
  }
}

function poolHealth(pool: PoolFacts, serverProblem: string): HealthReport {
  const { ready, why } = POOL_RULES[pool.state];
  const text = (why as (pool: PoolFacts) => string)(pool);
  const reasons = [serverProblem, text, pool.stateReason].filter((reason) => reason !== "");
  const healthy = pool.debug ? ready : pool.workers > 0;
  // What the server does explains what its pools do.
  const reason = serverProblem || reasons.join(": ") || (healthy ? "" : "the pool has no workers");
  return { healthy, ready: ready && serverProblem === "", reason };
}
