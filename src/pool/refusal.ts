import { RrError } from "../errors.ts";
import type { PoolState } from "./pool-state.ts";

/** What decides whether a pool takes a call. */
export interface Admission {
  readonly pool: string;
  readonly state: PoolState;
  /** Why its workers do not boot, while it has none. */
  readonly failure: { readonly error: RrError; readonly retryAfterMs: number } | undefined;
  readonly workerReady: boolean;
  readonly queueLength: number;
  readonly queueFull: boolean;
}

/** Why the pool does not take a call now; undefined if it does. */
export function refusalOf({
  pool,
  state,
  failure,
  workerReady,
  queueLength,
  queueFull,
}: Admission): RrError | undefined {
  const metadata = { pool };
  switch (state) {
    case "draining":
    case "stopped":
      return new RrError("DRAINING", `pool "${pool}" is stopping and takes no new calls`, {
        metadata,
        retryAfterMs: 1000,
      });
    case "paused":
      return new RrError("POOL_PAUSED", `pool "${pool}" is paused: resume it with "rrctl resume ${pool}"`, {
        metadata,
        retryAfterMs: 5000,
      });
  }
  if (failure) return crashLoop(pool, failure.error, failure.retryAfterMs);
  if (workerReady || !queueFull) return undefined;
  const message = `${queueLength} calls wait for a worker of pool "${pool}", more are not allowed (pool.max_queue_size)`;
  return new RrError("QUEUE_FULL", message, { metadata, retryAfterMs: 1000 });
}

export function crashLoop(pool: string, error: RrError, retryAfterMs: number): RrError {
  const message = `pool "${pool}" has no workers because they fail to boot: ${error.message}`;
  return new RrError("CRASH_LOOP", message, { metadata: { pool }, retryAfterMs });
}
