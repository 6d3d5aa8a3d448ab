import { durationMs } from "@bufbuild/protobuf/wkt";
import type { CallContext } from "nice-grpc-common";
import type {
  GetPoolRequest,
  ListPoolsRequest,
  PausePoolRequest,
  PoolService,
  ResetPoolRequest,
  ResumePoolRequest,
  ScalePoolRequest,
  WatchPoolsRequest,
} from "../../gen/roadrunner/pool/v1/pool_service_pb.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Implementation } from "../grpc/service-definition.ts";
import { callerOf } from "./caller.ts";
import { preciseDuration, toPool } from "./convert.ts";
import { whenGone } from "./gone-workers.ts";
import { atIntervals } from "./intervals.ts";

const DEFAULT_INTERVAL_MS = 1000;

export function poolService(dispatcher: Dispatcher, stopping: AbortSignal) {
  return {
    async listPools(_request: ListPoolsRequest) {
      return { pools: dispatcher.pools.map(toPool) };
    },
    async getPool({ pool }: GetPoolRequest) {
      return { pool: toPool(dispatcher.pool(pool)) };
    },
    async scalePool({ pool: name, workers }: ScalePoolRequest, context: CallContext) {
      const { signal } = context;
      const pool = dispatcher.pool(name);
      await whenGone(await pool.scale(workers, signal, callerOf(context).actor), signal);
      return { pool: toPool(pool) };
    },
    async resetPool({ pool: name }: ResetPoolRequest, context: CallContext) {
      const pool = dispatcher.pool(name);
      const { bootTimeMs } = await pool.reset(context.signal, callerOf(context).actor);
      return { pool: toPool(pool), bootTime: preciseDuration(bootTimeMs) };
    },
    async pausePool({ pool: name }: PausePoolRequest, context: CallContext) {
      const pool = dispatcher.pool(name);
      pool.pause(callerOf(context).actor);
      return { pool: toPool(pool) };
    },
    async resumePool({ pool: name }: ResumePoolRequest, context: CallContext) {
      const pool = dispatcher.pool(name);
      await pool.resume(context.signal, callerOf(context).actor);
      return { pool: toPool(pool) };
    },
    async *watchPools({ interval }: WatchPoolsRequest, context: CallContext) {
      let last = "";
      const intervalMs = interval ? durationMs(interval) : DEFAULT_INTERVAL_MS;
      for await (const _tick of atIntervals(intervalMs, AbortSignal.any([context.signal, stopping]))) {
        const pools = dispatcher.pools.map(toPool);
        const text = JSON.stringify(pools, (_key, value) => (typeof value === "bigint" ? String(value) : value));
        if (text === last) continue;
        last = text;
        yield { pools };
      }
    },
  } satisfies Implementation<typeof PoolService>;
}
