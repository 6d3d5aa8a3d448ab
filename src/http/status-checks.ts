/** What checks are answered, from what cores say of their health. */

export interface ReportedHealth {
  readonly healthy: boolean;
  readonly ready: boolean;
  readonly reason: string;
}

export interface CoreHealth {
  readonly started: boolean;
  /** Apart from the pools. */
  readonly server?: ReportedHealth | undefined;
  readonly pools: Readonly<Record<string, ReportedHealth>>;
}

/** One entry of the answer; the names are RoadRunner's. */
export interface CheckResult {
  /** Of a pool, or "server". */
  readonly plugin_name: string;
  /** Why it is not well, or what is wrong although it is; "" if nothing is. */
  readonly error_message: string;
  readonly status_code: number;
}

/**
 * startup: the server has come to the end of its start once. ready: it takes calls. health: as RoadRunner's, every pool
 * has workers.
 */
export const CHECKS = ["startup", "ready", "health"] as const;
export type Check = (typeof CHECKS)[number];

interface CheckSettings {
  /** Names of pools; none: all. */
  readonly wanted: readonly string[];
  /** This server ends, and its cores do not. */
  readonly ending: boolean;
  /** For what is not well. */
  readonly unavailableStatus: number;
}

const SERVER = "server";
const UNKNOWN_STATUS = 404;

/** What /live says: that somebody is there to say it. */
export const LIVE: readonly CheckResult[] = [{ plugin_name: SERVER, error_message: "", status_code: 200 }];

/** No core can be asked. */
export function unreachable(reason: string, unavailableStatus: number): CheckResult[] {
  return [{ plugin_name: SERVER, error_message: reason, status_code: unavailableStatus }];
}

/**
 * @param cores what those said that answered, at least one; pools of the same name count together
 * @returns an entry for each pool that was asked for, and one for the server if there is none, or something is wrong with it
 */
export function checkResults(check: Check, cores: readonly CoreHealth[], settings: CheckSettings): CheckResult[] {
  const { wanted, unavailableStatus } = settings;
  const entry = (plugin_name: string, well: boolean, error_message: string): CheckResult => ({
    plugin_name,
    error_message,
    status_code: well ? 200 : unavailableStatus,
  });
  const server = serverHealth(cores, settings.ending);
  if (check === "startup") {
    const started = cores.some((core) => core.started);
    return [entry(SERVER, started, started ? "" : server.reason)];
  }
  const pools = joinPools(cores);
  const known = Object.keys(pools).sort();
  const results = (wanted.length > 0 ? wanted : known).map((name) => {
    const pool = Object.hasOwn(pools, name) ? pools[name]! : undefined;
    if (!pool) return { plugin_name: name, error_message: unknownPool(name, known), status_code: UNKNOWN_STATUS };
    if (check === "health") return entry(name, pool.healthy, pool.reason);
    return entry(name, pool.ready && server.ready, server.ready ? pool.reason : server.reason);
  });
  const isServerTold = results.length === 0 || (check === "ready" && !server.ready && wanted.length === 0);
  return isServerTold ? [entry(SERVER, check === "health" || server.ready, server.reason), ...results] : results;
}

function unknownPool(name: string, known: readonly string[]): string {
  const names = known.map((one) => `"${one}"`).join(", ");
  return `there is no pool "${name}"; ${known.length > 0 ? `the pools are: ${names}` : "there are none"}`;
}

const NOTHING_KNOWN: ReportedHealth = { healthy: false, ready: false, reason: "the core says nothing of itself" };

/** The best of what the cores say of themselves: calls go there. */
function serverHealth(cores: readonly CoreHealth[], ending: boolean): ReportedHealth {
  if (ending) return { healthy: true, ready: false, reason: "the server is stopping" };
  const servers = cores.map(({ server }) => server ?? NOTHING_KNOWN);
  return servers.find(({ ready }) => ready) ?? servers[0] ?? NOTHING_KNOWN;
}

/** Pools of the same name as one: well where it is well in one of the cores. */
function joinPools(cores: readonly CoreHealth[]): Record<string, ReportedHealth> {
  const joined: Record<string, ReportedHealth> = {};
  for (const [name, pool] of cores.flatMap(({ pools }) => Object.entries(pools))) {
    const other = joined[name];
    const [best, rest] = other === undefined || (pool.ready && !other.ready) ? [pool, other] : [other, pool];
    joined[name] = { ...best, healthy: best.healthy || (rest?.healthy ?? false) };
  }
  return joined;
}
