import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { type Pool, PoolState } from "../../gen/roadrunner/pool/v1/pool_pb.ts";
import { ServerState } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import type { CoreClient } from "../client/core-client.ts";
import type { StatusOptions } from "../config/options.ts";
import type { Log } from "../log.ts";
import { refuseBadHead } from "./head-rules.ts";
import { type Listener, type ListenTarget, openListener, shown } from "./listener.ts";
import { FrontendStatistics } from "./statistics.ts";

export interface StatusServerSettings {
  readonly options: StatusOptions;
  /** One or several with the same pools: what they have counts together. */
  readonly cores: readonly CoreClient[];
  /** `ending`: this server stops, and its cores do not. */
  readonly readiness: { readonly ending: boolean };
  readonly log: Log;
  readonly listen: ListenTarget;
}

/** Whoever checks asks for little, and often on one connection. */
const LIMITS = {
  maxHeaderBytes: 16 * 1024,
  headersMax: 256,
  maxConnections: 0,
  headerTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 75_000,
};

/** One entry of the answer; the names are RoadRunner's. */
export interface CheckResult {
  readonly plugin_name: string;
  readonly error_message: string;
  readonly status_code: number;
}

export type Check = "health" | "ready";

/**
 * What /health and /ready say of pools: a pool is healthy if it has a worker, and ready if a worker would take a request
 * now. A server that is about to end is not ready, so that load balancers turn away before it stops to accept.
 */
export function checkPools(
  check: Check,
  pools: readonly Pick<Pool, "name" | "state" | "debug" | "workersReady" | "workersWorking">[],
  wanted: readonly string[],
  serving: boolean,
  unavailableStatus: number,
): CheckResult[] {
  return pools
    .filter(({ name }) => wanted.length === 0 || wanted.includes(name))
    .map(({ name, state, debug, workersReady, workersWorking }) => {
      // With debug there is a worker whenever one is needed.
      const onDemand = debug && state === PoolState.SERVING ? 1 : 0;
      const active = onDemand + (check === "ready" ? workersReady : workersReady + workersWorking);
      const problem = check === "ready" && !serving ? "the server is stopping" : active > 0 ? "" : NO_WORKERS[check];
      return { plugin_name: name, error_message: problem, status_code: problem === "" ? 200 : unavailableStatus };
    });
}

type CheckedPool = Parameters<typeof checkPools>[1][number];

interface CoreReport {
  readonly serving: boolean;
  readonly pools: readonly CheckedPool[];
}

/** What those say that can be reached; rejects if there is none. */
async function askCores(cores: readonly CoreClient[], call: { signal: AbortSignal }): Promise<CoreReport[]> {
  const answers = await Promise.allSettled(
    cores.map(async (core) => {
      const [{ pools }, { state }] = await Promise.all([
        core.pools.listPools({}, call),
        core.server.getServerInfo({}, call),
      ]);
      return { serving: state === ServerState.SERVING, pools };
    }),
  );
  const reports = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  const [first] = answers;
  if (reports.length === 0 && first?.status === "rejected") throw first.reason;
  return reports;
}

/** Pools of the same name as one, of the cores that serve, or of all if none does. */
export function joinPools(reports: readonly CoreReport[]): CheckedPool[] {
  const serving = reports.filter((report) => report.serving);
  const joined = new Map<string, CheckedPool>();
  for (const pool of (serving.length > 0 ? serving : reports).flatMap(({ pools }) => pools)) {
    const other = joined.get(pool.name);
    const { name, debug } = pool;
    if (other === undefined) joined.set(name, pool);
    else
      joined.set(name, {
        name,
        state: other.state === PoolState.SERVING ? other.state : pool.state,
        debug: debug || other.debug,
        workersReady: pool.workersReady + other.workersReady,
        workersWorking: pool.workersWorking + other.workersWorking,
      });
  }
  return [...joined.values()];
}

const NO_WORKERS: Readonly<Record<Check, string>> = {
  health: "the pool has no workers",
  ready: "the pool has no worker that is free",
};

/**
 * Serves /health, /ready and /jobs.
 *
 * @throws RrError FAILED_PRECONDITION: the address is in use or may not be used
 */
export async function startStatusServer(settings: StatusServerSettings): Promise<Listener> {
  const { options, cores, readiness, log, listen } = settings;
  const app = new Hono();
  const unavailable = options.unavailableStatus as ContentfulStatusCode;
  for (const check of ["health", "ready"] as const)
    app.get(`/${check}`, async (context) => {
      const call = { signal: AbortSignal.timeout(options.checkTimeoutMs) };
      const reports = await askCores(cores, call);
      const wanted = context.req.queries("plugin") ?? [];
      const serving = !readiness.ending && reports.some((report) => report.serving);
      const pools = joinPools(reports);
      const results = checkPools(check, pools, wanted, serving, options.unavailableStatus);
      const worst = results.every(({ status_code }) => status_code < 500) ? 200 : unavailable;
      return context.json(results, check === "ready" && !serving ? unavailable : worst);
    });
  app.get("/jobs", (context) => context.text("jobs plugin not found", unavailable));
  app.onError((error, context) => {
    log.warn({ event: "status.check_failed", path: context.req.path }, error.message);
    return context.json([], unavailable);
  });
  const state = { draining: false };
  const answer = getRequestListener(app.fetch);
  const { address, close } = await openListener({
    target: listen,
    addressKey: "status.address",
    limits: LIMITS,
    handle: (incoming, outgoing) => {
      if (!refuseBadHead(incoming, outgoing, LIMITS.headersMax)) void answer(incoming, outgoing);
    },
    statistics: new FrontendStatistics(),
    log,
    state,
  });
  log.info({ event: "status.listening", host: address.host, port: address.port }, `Status on ${shown(address)}`);
  return { address, close };
}
