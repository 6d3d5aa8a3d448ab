import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { RrError } from "../errors.ts";
import { takesCalls } from "../health/server-health.ts";
import { type Log, silentLog } from "../log.ts";
import type { Pool } from "../pool/pool.ts";
import { readUsage } from "../process/resources.ts";
import { COMPATIBLE_RR_VERSION } from "../version.ts";
import type { Worker } from "../worker/worker.ts";
import type { WorkerState } from "../worker/worker-state.ts";
import type { RpcMethods } from "./rpc-method.ts";
import { statusMessage } from "./status-message.ts";

/** RoadRunner's numbers and names of worker states. */
const STATUS: Record<WorkerState, readonly [number, string]> = {
  booting: [0, "inactive"],
  ready: [1, "ready"],
  working: [2, "working"],
  stopping: [4, "stopping"],
  killed: [8, "errored"],
  exited: [5, "stopped"],
};

/** Nobody says who he is there. */
const ACTOR = "RPC for PHP";

/** What RoadRunner's PHP packages call, on the functions that the gRPC services use. */
export function rpcMethods(dispatcher: Dispatcher, configurationJson: () => string, log: Log = silentLog): RpcMethods {
  const known = (name: unknown): Pool | undefined => dispatcher.pools.find((pool) => pool.name === name);
  const pool = (name: unknown): Pool => {
    const found = known(name);
    if (!found) throw new RrError("POOL_NOT_FOUND", `no such plugin: ${String(name)}`);
    return found;
  };
  /** As in RoadRunner, what cannot be done is a warning and no error: the last worker stays, debug mode has none to count. */
  const leniently = async (change: () => Promise<unknown>) => {
    try {
      await change();
    } catch (thrown) {
      const { reason, message } = RrError.from(thrown);
      if (reason !== "FAILED_PRECONDITION") throw thrown;
      log.warn({ reason }, message);
    }
    // RoadRunner never sets its answer, so that success is `false`.
    return false;
  };
  const health = (method: string, healthy: (pool: Pool) => boolean) => ({
    call: (argument: unknown) => {
      const plugin = (argument as { plugin?: unknown } | null | undefined)?.plugin;
      if (typeof plugin !== "string" || plugin === "")
        throw new RrError(
          "INVALID_REQUEST",
          `${method} takes {"plugin": "name"}, it was given ${JSON.stringify(argument) ?? "nothing"}`,
        );
      return { code: healthy(pool(plugin)) ? 200 : 503, message: "" };
    },
    protobuf: statusMessage,
  });
  let configuration: string | undefined;
  return {
    "rpc.Version": () => COMPATIBLE_RR_VERSION,
    "rpc.Config": () => {
      configuration ??= Buffer.from(configurationJson()).toString("base64");
      return configuration;
    },
    "informer.List": () => dispatcher.pools.map(({ name }) => name),
    "informer.Workers": (name) => ({
      // Those that are on their way out do not count in RoadRunner, either.
      workers:
        known(name)
          ?.workers.filter(({ leaving }) => leaving === "")
          .map((worker) => workerState(pool(name), worker)) ?? null,
    }),
    "informer.Jobs": () => [],
    "informer.AddWorker": (name) => leniently(() => pool(name).addWorker(undefined, ACTOR)),
    "informer.RemoveWorker": (name) => leniently(() => pool(name).removeWorker(undefined, undefined, ACTOR)),
    "resetter.List": () => dispatcher.pools.map(({ name }) => name),
    "resetter.Reset": async (name) => {
      await pool(name).reset(undefined, ACTOR);
      return true;
    },
    "status.Status": health("status.Status", ({ workers }) =>
      workers.some(({ state }) => state === "ready" || state === "working"),
    ),
    "status.Ready": health("status.Ready", ({ state }) => takesCalls(state)),
  };
}

function workerState(pool: Pool, worker: Worker) {
  const [status, statusStr] = STATUS[worker.state];
  const startedMs = Date.now() - (performance.now() - worker.startedAtMs);
  return {
    pid: worker.pid,
    status,
    numExecs: worker.executions,
    // Nanoseconds since 1970, as whole digits: beyond 2^53 a JSON number of JavaScript loses the last ones.
    created: Math.round(startedMs) * 1_000_000,
    memoryUsage: readUsage(worker.pid).memoryBytes,
    CPUPercent: 0,
    command: (pool.options.shownCommand ?? pool.options.command).join(" "),
    statusStr,
  };
}
