// Provisional: replaced by the schema-driven loader.
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { parse } from "yaml";
import type { ServerConfiguration } from "./options.ts";
export interface LoadedConfiguration {
  configuration: ServerConfiguration;
  warnings: { text: string }[];
  env: Record<string, string | undefined>;
  yaml: string;
}
const ms = (v: any, d: number) =>
  v === undefined
    ? d
    : typeof v === "number"
      ? v * 1000
      : Number(/([\d.]+)/.exec(v)![1]) * (v.endsWith("ms") ? 1 : v.endsWith("m") ? 60000 : 1000);
export function loadConfiguration(s: any): LoadedConfiguration {
  const file = resolve(s.cwd, s.file ?? ".rr.yaml");
  const text = readFileSync(file, "utf8");
  const y = parse(text);
  for (const o of s.overrides ?? []) {
    const [k, v] = o.split("=");
    let at = y;
    const parts = k.split(".");
    for (const p of parts.slice(0, -1)) at = at[p] ??= {};
    at[parts.at(-1)] = v === "true" ? true : v === "false" ? false : Number.isNaN(Number(v)) ? v : Number(v);
  }
  const addr = (a: string) => {
    a = a.replace("tcp://", "");
    const i = a.lastIndexOf(":");
    return { kind: "tcp" as const, host: a.slice(0, i), port: Number(a.slice(i + 1)) };
  };
  const relayText = y.server?.relay ?? "pipes";
  const relay: any =
    relayText === "pipes"
      ? { kind: "pipes" }
      : relayText.startsWith("unix")
        ? { kind: "unix", path: resolve(s.cwd, relayText.slice(7)) }
        : addr(relayText);
  const pool = (name: string, p: any): any => ({
    name,
    command: (p.command ?? y.server.command).toString().split(" "),
    env: { RR_RELAY: relayText, RR_MODE: name, RR_RPC: "tcp://127.0.0.1:6001" },
    workingDirectory: s.cwd,
    relay,
    protocol: "goridge3",
    debug: !!p.debug,
    numWorkers: p.debug ? 0 : (p.num_workers ?? availableParallelism()),
    numWorkersMax: 2048,
    maxJobs: p.max_jobs ?? 0,
    maxQueueLength: p.max_queue_size ?? 10000,
    queueWaitMs: ms(p.allocate_timeout, 60000),
    bootTimeoutMs: ms(p.allocate_timeout, 60000),
    destroyTimeoutMs: 60000,
    resetTimeoutMs: 60000,
    streamTimeoutMs: ms(p.stream_timeout, 60000),
    stopGraceMs: ms(p.stop_grace, 10000),
    frameBytesMax: 1 << 28,
    supervisor: {
      watchTickMs: ms(p.supervisor?.watch_tick, 5000),
      ttlMs: ms(p.supervisor?.ttl, 0),
      idleTtlMs: ms(p.supervisor?.idle_ttl, 0),
      execTtlMs: ms(p.supervisor?.exec_ttl, 0),
      workerMemoryBytesMax: (p.supervisor?.max_worker_memory ?? 0) * 1048576,
    },
    dynamicAllocator: undefined,
  });
  const pools = [] as any[];
  if (y.http) pools.push(pool("http", y.http.pool ?? {}));
  for (const [n, p] of Object.entries(y.pools ?? {})) pools.push(pool(n, p));
  return {
    env: s.env,
    yaml: text,
    warnings: [],
    configuration: {
      configFile: file,
      workingDirectory: s.cwd,
      gracePeriodMs: 30000,
      control: {
        listen: addr(y.control?.listen ?? "tcp://127.0.0.1:6002"),
        maxMessageBytes: 67108864,
        eventsKept: 10000,
      },
      rpc: undefined,
      logs: {
        mode: "development",
        level: y.logs?.level ?? "info",
        encoding: "console",
        output: ["stderr"],
        channelLevels: {},
      },
      onInit: undefined,
      pools,
      http: y.http && {
        address: addr(y.http.address),
        pool: "http",
        frontends: y.http.frontends ?? 1,
        internalErrorCode: 500,
        maxRequestBytes: 1000 * 1048576,
        maxHeaderBytes: 65536,
        maxConnections: 0,
        headerTimeoutMs: 60000,
        bodyIdleTimeoutMs: 60000,
        keepAliveTimeoutMs: 60000,
        rawBody: false,
        accessLogs: !!y.http.access_logs,
        contextCodec: "json",
        debug: false,
        middleware: [],
      },
    },
  };
}
