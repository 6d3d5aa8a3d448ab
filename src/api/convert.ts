import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ResponseCounts as ResponseCountsMessage } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { type EventSchema, Severity } from "../../gen/roadrunner/event/v1/event_service_pb.ts";
import { type PoolSchema, PoolState, type WorkerSchema, WorkerState } from "../../gen/roadrunner/pool/v1/pool_pb.ts";
import type { DistributionSchema } from "../../gen/roadrunner/stats/v1/stats_service_pb.ts";
import { systemClock } from "../clock.ts";
import type { RelayOptions } from "../config/options.ts";
import type { EventSeverity, RecordedEvent } from "../events/event-log.ts";
import { formatAddress } from "../net/address.ts";
import type { Pool } from "../pool/pool.ts";
import type { PoolState as PoolStateName } from "../pool/pool-state.ts";
import type { ResponseCounts } from "../pool/response-watch.ts";
import { processUsage } from "../process/process-usage.ts";
import type { Distribution } from "../stats/distribution.ts";
import type { Worker } from "../worker/worker.ts";
import type { WorkerState as WorkerStateName } from "../worker/worker-state.ts";

/** What the core knows, in the words of the contract. */

const POOL_STATE: Record<PoolStateName, PoolState> = {
  booting: PoolState.BOOTING,
  serving: PoolState.SERVING,
  paused: PoolState.PAUSED,
  degraded: PoolState.DEGRADED,
  failing: PoolState.FAILING,
  draining: PoolState.DRAINING,
  stopped: PoolState.STOPPED,
};

const WORKER_STATE: Record<WorkerStateName, WorkerState> = {
  booting: WorkerState.BOOTING,
  ready: WorkerState.READY,
  working: WorkerState.WORKING,
  stopping: WorkerState.STOPPING,
  killed: WorkerState.KILLED,
  exited: WorkerState.EXITED,
};

export const SEVERITY: Record<EventSeverity, Severity> = {
  info: Severity.INFO,
  warning: Severity.WARNING,
  error: Severity.ERROR,
};

export function relayText(relay: RelayOptions): string {
  return relay.kind === "pipes" ? "pipes" : formatAddress(relay);
}

export function counters(counts: ReadonlyMap<string, number>): Record<string, bigint> {
  return Object.fromEntries([...counts].map(([reason, count]) => [reason, BigInt(count)]));
}

export function toPool(pool: Pool): MessageInitShape<typeof PoolSchema> {
  const { options, figures, workers } = pool;
  const count = (...states: WorkerStateName[]) => workers.filter((worker) => states.includes(worker.state)).length;
  return {
    name: pool.name,
    state: POOL_STATE[pool.state],
    stateReason: pool.stateReason,
    generation: pool.generation,
    workersWanted: pool.workersWanted,
    workersReady: count("ready"),
    workersWorking: count("working"),
    workersBooting: pool.workersBooting,
    workersStopping: count("stopping", "killed"),
    queueLength: pool.queueLength,
    queueLengthMax: options.maxQueueLength,
    queueWaitMax: durationFromMs(options.queueWaitMs),
    command: (options.shownCommand ?? options.command).join(" "),
    relay: relayText(options.relay),
    debug: options.debug,
    executions: BigInt(figures.executions),
    failures: counters(figures.failures),
    bootFailures: counters(figures.bootFailures),
    retries: BigInt(figures.retries),
    workersStarted: BigInt(figures.workersStarted),
    workersEnded: counters(figures.workersEnded),
    memoryBytes: BigInt(workers.reduce((sum, worker) => sum + processUsage.memoryBytes(worker.pid), 0)),
    createTime: timestampFromMs(pool.createdAtMs),
  };
}

/** Monotonic milliseconds as a moment of the calendar. */
function wallTime(monotonicMs: number) {
  return timestampFromMs(Math.round(systemClock.wallMs() - (systemClock.monotonicMs() - monotonicMs)));
}

export function toWorker(pool: Pool, worker: Worker, cpuPercent: number): MessageInitShape<typeof WorkerSchema> {
  return {
    pid: worker.pid,
    pool: pool.name,
    generation: worker.generation,
    state: WORKER_STATE[worker.state],
    stateReason: worker.leaving,
    createTime: wallTime(worker.startedAtMs),
    ...(worker.lastUsedAtMs !== undefined && { lastUsedTime: wallTime(worker.lastUsedAtMs) }),
    executions: BigInt(worker.executions),
    executionsMax: BigInt(worker.executionsMax),
    memoryBytes: BigInt(processUsage.memoryBytes(worker.pid)),
    cpuPercent,
    command: (pool.options.shownCommand ?? pool.options.command).join(" "),
    requestId: worker.requestId,
    ...(worker.state === "working" && { requestStartTime: wallTime(worker.executionStartedAtMs) }),
  };
}

export function toResponseCounts(counts: ResponseCountsMessage): ResponseCounts {
  return {
    "1xx": counts.responses1xx,
    "2xx": counts.responses2xx,
    "3xx": counts.responses3xx,
    "4xx": counts.responses4xx,
    "5xx": counts.responses5xx,
  };
}

export function toEvent(event: RecordedEvent): MessageInitShape<typeof EventSchema> {
  return {
    revision: BigInt(event.revision),
    time: timestampFromMs(event.timeMs),
    type: event.type,
    severity: SEVERITY[event.severity],
    pool: event.pool,
    pid: event.pid,
    reason: event.reason,
    message: event.message,
    attributes: event.attributes,
    actor: event.actor,
  };
}

export function toDistribution(distribution: Distribution): MessageInitShape<typeof DistributionSchema> {
  const figures = distribution.figures(systemClock.monotonicMs());
  return {
    count: BigInt(figures.count),
    mean: preciseDuration(figures.meanMs),
    p50: preciseDuration(figures.p50Ms),
    p90: preciseDuration(figures.p90Ms),
    p99: preciseDuration(figures.p99Ms),
    max: preciseDuration(figures.maxMs),
  };
}

/** Microseconds matter here; `durationFromMs` takes whole milliseconds. */
export function preciseDuration(ms: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
