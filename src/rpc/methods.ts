import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { RrError } from "../errors.ts";
import type { Pool } from "../pool/pool.ts";
import { readUsage } from "../process/resources.ts";
import { COMPATIBLE_RR_VERSION } from "../version.ts";
import type { Worker } from "../worker/worker.ts";
import type { WorkerState } from "../worker/worker-state.ts";
import type { RpcMethods } from "./rpc-server.ts";

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
export function rpcMethods(dispatcher: Dispatcher, configurationJson: () => string): RpcMethods {
  const known = (name: unknown): Pool | undefined => dispatcher.pools.find((pool) => pool.name === name);
  const pool = (name: unknown): Pool => {
    const found = known(name);
    if (!found) throw new RrError("POOL_NOT_FOUND", `no such plugin: ${String(name)}`);
    return found;
  };
  const health = (argument: unknown, healthy: (workers: readonly Worker[]) => boolean) => {
    const plugin = (argument as { plugin?: unknown } | undefined)?.plugin;
    return { code: healthy(pool(plugin).workers) ? 200 : 503, message: "" };
  };
  return {
    "rpc.Version": () => COMPATIBLE_RR_VERSION,
    "rpc.Config": () => Buffer.from(configurationJson()).toString("base64"),
    "informer.List": () => dispatcher.pools.map(({ name }) => name),
    "informer.Workers": (name) => ({
      workers: known(name)?.workers.map((worker) => workerState(pool(name), worker)) ?? null,
    }),
    "informer.Jobs": () => [],
    "informer.AddWorker": async (name) => {
      await pool(name).addWorker(undefined, ACTOR);
      // RoadRunner never sets its answer, so that success is `false`.
      return false;
    },
    "informer.RemoveWorker": async (name) => {
      await pool(name).removeWorker(undefined, undefined, ACTOR);
      return false;
    },
    "resetter.List": () => dispatcher.pools.map(({ name }) => name),
    "resetter.Reset": async (name) => {
      await pool(name).reset(undefined, ACTOR);
      return true;
    },
    "status.Status": (argument) =>
      health(argument, (workers) => workers.some(({ state }) => state === "ready" || state === "working")),
    "status.Ready": (argument) => health(argument, (workers) => workers.some(({ state }) => state === "ready")),
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
    command: pool.options.command.join(" "),
    statusStr,
  };
}
