import type { SupervisorOptions } from "../config/options.ts";

export interface WorkerSnapshot {
  ageMs: number;
  /** Undefined: it runs a call, or never ran one. */
  idleMs: number | undefined;
  memoryBytes: number;
}

/** Why a worker should be replaced, as the limits say; undefined if it may stay. */
export function replacementReason(
  worker: WorkerSnapshot,
  limits: SupervisorOptions,
): "ttl" | "memory" | "idle_ttl" | undefined {
  if (limits.ttlMs > 0 && worker.ageMs >= limits.ttlMs) return "ttl";
  if (limits.workerMemoryBytesMax > 0 && worker.memoryBytes > limits.workerMemoryBytesMax) return "memory";
  if (limits.idleTtlMs > 0 && worker.idleMs !== undefined && worker.idleMs >= limits.idleTtlMs) return "idle_ttl";
  return undefined;
}

const JITTER_PERCENT = 14;

/**
 * Calls after which a worker is replaced: `maxJobs` and up to 14 % more, so that workers started together do not all
 * end together. 0 stays 0; small numbers stay exact. `random` is in [0, 1).
 */
export function executionsMaxWithJitter(maxJobs: number, random: number): number {
  return maxJobs === 0 ? 0 : maxJobs + Math.floor(((maxJobs * JITTER_PERCENT) / 100) * random);
}

/** Whether the successor of a worker should boot now, so that it is there when the limit is reached. */
export function nearsExecutionsMax(executions: number, executionsMax: number): boolean {
  return executionsMax > 0 && executions + 1 >= Math.max(1, Math.floor(executionsMax * 0.9));
}
