import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { Command, Configuration, Logs, Pool } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { COMPATIBLE_RR_VERSION } from "../version.ts";
import { addressForPhp, parseAddress } from "./address.ts";
import { contextCodecOf } from "./composer.ts";
import { type Environment, interpolate } from "./interpolation.ts";
import type {
  Address,
  HttpOptions,
  LogOptions,
  OnInitOptions,
  PoolOptions,
  RelayOptions,
  ServerConfiguration,
} from "./options.ts";

export interface ResolutionContext {
  readonly configFile: string | undefined;
  readonly workingDirectory: string;
  readonly env: Environment;
  /** Reports what is wrong with the value at a path. */
  readonly report: (path: string, message: string) => void;
}

const LOOPBACK_ANY_PORT: Address = { kind: "tcp", host: "127.0.0.1", port: 0 };

/** The message with all defaults to what the program works with. */
export function resolveConfiguration(message: Configuration, context: ResolutionContext): ServerConfiguration {
  const rpc = message.rpc && { listen: address(message.rpc.listen!, "rpc.listen", context) };
  const pools = resolvePools(message, rpc?.listen, context);
  const control = message.control!;
  return {
    configFile: context.configFile,
    workingDirectory: context.workingDirectory,
    gracePeriodMs: ms(message.endure!.gracePeriod),
    control: {
      listen: address(control.listen!, "control.listen", context),
      maxMessageBytes: Number(control.maxMessageSize),
      eventsKept: control.eventsKept!,
    },
    rpc,
    logs: resolveLogs(message.logs!, context),
    onInit: resolveOnInit(message, context),
    pools,
    http: message.http?.address === undefined ? undefined : resolveHttp(message, pools, context),
  };
}

function ms(duration: Duration | undefined): number {
  return duration ? durationMs(duration) : 0;
}

function address(text: string, path: string, { workingDirectory, report }: ResolutionContext): Address {
  const parsed = parseAddress(text, workingDirectory);
  if (typeof parsed !== "string") return parsed;
  report(path, parsed);
  return LOOPBACK_ANY_PORT;
}

function resolvePools(message: Configuration, rpc: Address | undefined, context: ResolutionContext): PoolOptions[] {
  const pools = Object.entries(message.pools).map(([name, pool]) => ({ name, pool, path: `pools.${name}` }));
  if (message.http?.pool && message.http.address !== undefined) {
    if (message.pools.http) context.report("pools.http", 'the name "http" belongs to http.pool: choose another');
    pools.unshift({ name: "http", pool: message.http.pool, path: "http.pool" });
  }
  return pools.map(({ name, pool, path }) => resolvePool(name, pool, path, message, rpc, context));
}

function resolvePool(
  name: string,
  pool: Pool,
  path: string,
  { server }: Configuration,
  rpc: Address | undefined,
  context: ResolutionContext,
): PoolOptions {
  const command = commandOf(pool.command ?? server?.command);
  if (command.length === 0)
    context.report(
      "server.command",
      `it is missing: name the command of the workers, such as "php worker.php", here or in ${path}.command`,
    );
  const allocateMs = ms(pool.allocateTimeout);
  const relay = resolveRelay(server?.relay ?? "pipes", context);
  const numWorkers = pool.debug ? 0 : (pool.numWorkers ?? availableParallelism());
  const numWorkersMax = pool.maxWorkers!;
  if (numWorkers > numWorkersMax)
    context.report(`${path}.num_workers`, `expected at most ${numWorkersMax} (${path}.max_workers), got ${numWorkers}`);
  if (numWorkers === 0 && !pool.debug)
    context.report(
      `${path}.num_workers`,
      "expected at least 1, got 0: leave the key out for as many as there are processors",
    );
  const supervisor = pool.supervisor!;
  return {
    name,
    command,
    env: workerEnv(pool.mode ?? name, server?.env ?? {}, relay, rpc, context.env),
    workingDirectory: context.workingDirectory,
    user: server?.user || undefined,
    group: server?.group || undefined,
    relay,
    protocol: server?.protocol === "goridge1" ? "goridge1" : "goridge3",
    debug: pool.debug!,
    numWorkers,
    numWorkersMax,
    maxJobs: Number(pool.maxJobs),
    maxQueueLength: pool.maxQueueSize!,
    queueWaitMs: pool.queueWait ? ms(pool.queueWait) : allocateMs,
    bootTimeoutMs: pool.bootTimeout ? ms(pool.bootTimeout) : allocateMs,
    destroyTimeoutMs: ms(pool.destroyTimeout),
    resetTimeoutMs: ms(pool.resetTimeout),
    streamTimeoutMs: ms(pool.streamTimeout),
    stopGraceMs: ms(pool.stopGrace),
    frameBytesMax: Number(pool.maxFrameSize),
    supervisor: {
      watchTickMs: ms(supervisor.watchTick),
      ttlMs: ms(supervisor.ttl),
      idleTtlMs: ms(supervisor.idleTtl),
      execTtlMs: ms(supervisor.execTtl),
      workerMemoryBytesMax: Number(supervisor.maxWorkerMemory),
    },
    dynamicAllocator: pool.dynamicAllocator && {
      maxWorkers: pool.dynamicAllocator.maxWorkers!,
      spawnRate: pool.dynamicAllocator.spawnRate!,
      idleTimeoutMs: ms(pool.dynamicAllocator.idleTimeout),
    },
  };
}

function commandOf(command: Command | undefined): readonly string[] {
  return command?.arguments ?? [];
}

function resolveRelay(text: string, context: ResolutionContext): RelayOptions {
  if (text === "pipes") return { kind: "pipes" };
  const parsed = parseAddress(text, context.workingDirectory);
  if (typeof parsed !== "string" && text.includes("://")) return parsed;
  context.report("server.relay", `expected "pipes", "unix://path" or "tcp://host:port", got "${text}"`);
  return { kind: "pipes" };
}

/** In the order of RoadRunner, the last one wins: what the server adds, the file's env, what belongs to the pool. */
function workerEnv(
  mode: string,
  fileEnv: Readonly<Record<string, string>>,
  relay: RelayOptions,
  rpc: Address | undefined,
  env: Environment,
): Record<string, string> {
  const added: Record<string, string> = { RR_RELAY: relay.kind === "pipes" ? "pipes" : addressForPhp(relay) };
  if (rpc) added.RR_RPC = addressForPhp(rpc);
  for (const [name, value] of Object.entries(fileEnv)) added[name.toUpperCase()] = interpolate(value, env);
  return { ...added, RR_VERSION: COMPATIBLE_RR_VERSION, RR_MODE: mode };
}

function resolveHttp(message: Configuration, pools: readonly PoolOptions[], context: ResolutionContext): HttpOptions {
  const http = message.http!;
  const listen = address(http.address!, "http.address", context);
  if (listen.kind === "unix") context.report("http.address", `expected "host:port", got "${http.address}"`);
  const pool = pools.find(({ name }) => name === "http")!;
  const codec = http.contextCodec;
  return {
    address: listen.kind === "tcp" ? listen : { kind: "tcp", host: "127.0.0.1", port: 0 },
    pool: pool.name,
    frontends: http.frontends!,
    internalErrorCode: http.internalErrorCode!,
    // RoadRunner reads 0 as its default.
    maxRequestBytes: Number(http.maxRequestSize) || 1000 * 1024 * 1024,
    maxHeaderBytes: Number(http.maxHeaderSize),
    maxConnections: http.maxConnections!,
    headerTimeoutMs: ms(http.headerTimeout),
    bodyIdleTimeoutMs: ms(http.bodyIdleTimeout),
    keepAliveTimeoutMs: ms(http.keepAliveTimeout),
    rawBody: http.rawBody!,
    accessLogs: http.accessLogs!,
    contextCodec:
      codec === "json" || codec === "proto" ? codec : contextCodecOf(context.workingDirectory, pool.command),
    debug: pool.debug,
    middleware: http.middleware,
  };
}

function resolveOnInit({ server }: Configuration, context: ResolutionContext): OnInitOptions | undefined {
  const onInit = server?.onInit;
  if (!onInit) return undefined;
  const command = commandOf(onInit.command);
  if (command.length === 0) context.report("server.on_init.command", "it is missing: name the command to run");
  const env = Object.entries(onInit.env).map(([name, value]) => [name.toUpperCase(), interpolate(value, context.env)]);
  return {
    command,
    execTimeoutMs: ms(onInit.execTimeout),
    env: Object.fromEntries(env),
    user: onInit.user || undefined,
    exitOnError: onInit.exitOnError!,
  };
}

const LEVELS: Record<string, LogOptions["level"]> = { panic: "fatal", dpanic: "fatal" };

function levelOf(level: string | undefined): LogOptions["level"] {
  return LEVELS[level ?? ""] ?? (level as LogOptions["level"] | undefined) ?? "info";
}

function resolveLogs(logs: Logs, { workingDirectory }: ResolutionContext): LogOptions {
  const mode = logs.mode === "off" ? "none" : (logs.mode as LogOptions["mode"]);
  const output = logs.output.length > 0 ? logs.output : ["stderr"];
  return {
    mode,
    level: levelOf(logs.level),
    encoding: (logs.encoding as LogOptions["encoding"] | undefined) ?? (mode === "production" ? "json" : "console"),
    output: output.map((one) => (one === "stdout" || one === "stderr" ? one : resolve(workingDirectory, one))),
    channelLevels: Object.fromEntries(
      Object.entries(logs.channels).flatMap(([name, channel]) =>
        channel.level ? [[name, levelOf(channel.level)]] : [],
      ),
    ),
  };
}
