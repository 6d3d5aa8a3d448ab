import type { Configuration, Pool, Server } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import type { Address } from "../net/address.ts";
import { COMPATIBLE_RR_VERSION } from "../version.ts";
import { addressForPhp, parseRelay } from "./address.ts";
import type { PoolOptions, RelayOptions } from "./options.ts";
import { environmentNames, milliseconds, type ResolutionContext } from "./resolution.ts";

/** What all pools share. */
interface Shared {
  readonly server: Server;
  readonly relay: RelayOptions;
  readonly env: Readonly<Record<string, string>>;
  /** Names of pools that HTTP requests are sent to. */
  readonly servingHttp: ReadonlySet<string>;
}

/** The pool of `http.pool`, which is called "http", and those of `pools`. */
export function resolvePools(
  { server, http, pools }: Configuration,
  rpc: Address | undefined,
  context: ResolutionContext,
): PoolOptions[] {
  const relay = resolveRelay(server!.relay!, context);
  const servingHttp = new Set(http?.routes.map((route) => route.pool ?? ""));
  const shared: Shared = { server: server!, relay, env: sharedEnv(server!, relay, rpc, context), servingHttp };
  if (http && pools.http)
    context.report("pools.http", 'the name "http" belongs to http.pool: choose another, or leave out one of them');
  const named = Object.entries(pools).map(([name, pool]) => ({ name, pool, path: `pools.${name}` }));
  const all = http ? [{ name: "http", pool: http.pool!, path: "http.pool" }, ...named] : named;
  const withoutCommand = all.filter(({ pool }) => pool.command.length === 0).map(({ path }) => `${path}.command`);
  if (server!.command.length === 0 && withoutCommand.length > 0)
    context.reportMissing(
      "server.command",
      `it is missing: name what starts a worker, such as "php worker.php", here or in ${withoutCommand.join(", ")}`,
    );
  return all.map(({ name, pool, path }) => resolvePool(name, pool, path, shared, context));
}

function resolvePool(
  name: string,
  pool: Pool,
  path: string,
  { server, relay, env, servingHttp }: Shared,
  context: ResolutionContext,
): PoolOptions {
  const supervisor = pool.supervisor!;
  const mode = pool.mode || (servingHttp.has(name) ? "http" : name);
  const numWorkersMax = pool.maxWorkers!;
  if (!pool.debug && pool.numWorkers! > numWorkersMax)
    context.report(
      `${path}.num_workers`,
      `expected at most ${numWorkersMax}, got ${pool.numWorkers}: ${path}.max_workers sets the limit`,
    );
  return {
    name,
    command: pool.command.length > 0 ? pool.command : server.command,
    // As in RoadRunner: the file's variables stand above the addresses, the mode above all.
    env: {
      ...env,
      ...(server.protocol === "goridge1" && firstGenerationEnv(mode)),
      // The PHP library then leaves exceptions to the server's error page.
      ...(pool.debug && { RR_DEBUG: "1" }),
      RR_MODE: mode,
    },
    workingDirectory: context.workingDirectory,
    user: server.user || undefined,
    group: server.group || undefined,
    passedEnv: server.clearEnv ? server.passEnv : undefined,
    relay,
    protocol: server.protocol as PoolOptions["protocol"],
    debug: pool.debug!,
    numWorkers: pool.debug ? 0 : pool.numWorkers!,
    numWorkersMax,
    maxJobs: Number(pool.maxJobs),
    maxQueueLength: pool.maxQueueSize!,
    queueWaitMs: milliseconds(pool.queueWait),
    bootTimeoutMs: milliseconds(pool.bootTimeout),
    destroyTimeoutMs: milliseconds(pool.destroyTimeout),
    resetTimeoutMs: milliseconds(pool.resetTimeout),
    retireTimeoutMs: milliseconds(pool.retireTimeout),
    streamTimeoutMs: milliseconds(pool.streamTimeout),
    stopGraceMs: milliseconds(pool.stopGrace),
    frameBytesMax: Number(pool.maxFrameSize),
    supervisor: {
      watchTickMs: milliseconds(supervisor.watchTick),
      ttlMs: milliseconds(supervisor.ttl),
      idleTtlMs: milliseconds(supervisor.idleTtl),
      execTtlMs: milliseconds(supervisor.execTtl),
      workerMemoryBytesMax: Number(supervisor.maxWorkerMemory),
    },
    dynamicAllocator: pool.dynamicAllocator && {
      maxWorkers: pool.dynamicAllocator.maxWorkers!,
      spawnRate: pool.dynamicAllocator.spawnRate!,
      idleTimeoutMs: milliseconds(pool.dynamicAllocator.idleTimeout),
    },
  };
}

function resolveRelay(text: string, { workingDirectory, report }: ResolutionContext): RelayOptions {
  const relay = parseRelay(text, workingDirectory);
  if (!("error" in relay)) return relay;
  report("server.relay", relay.error);
  return { kind: "pipes" };
}

function sharedEnv(
  { env }: Server,
  relay: RelayOptions,
  rpc: Address | undefined,
  { report }: ResolutionContext,
): Record<string, string> {
  const told: Record<string, string> = { RR_RELAY: "pipes" };
  const tell = (variable: string, address: Address, path: string) => {
    const forPhp = addressForPhp(address);
    if ("error" in forPhp) report(path, forPhp.error);
    else told[variable] = forPhp.text;
  };
  if (relay.kind !== "pipes") tell("RR_RELAY", relay, "server.relay");
  if (rpc) tell("RR_RPC", rpc, "rpc.listen");
  return { ...told, ...environmentNames(env), RR_VERSION: COMPATIBLE_RR_VERSION };
}

/** What RoadRunner 1 told its workers besides. */
function firstGenerationEnv(mode: string): Record<string, string> {
  return mode === "http" ? { RR: "true", RR_HTTP: "true" } : { RR: "true" };
}
