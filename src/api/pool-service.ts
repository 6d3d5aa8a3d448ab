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
import type { Pool } from "../pool/pool.ts";
import { processUsage } from "../process/process-usage.ts";
import { callerOf } from "./caller.ts";
import { preciseDuration, toPool } from "./convert.ts";
import { whenGone } from "./gone-workers.ts";
import { Shared, WatchPace } from "./watch-pace.ts";

const DEFAULT_INTERVAL_MS = 1000;
/** All watchers together are told 200 times a second at most. */
const MESSAGE_MS = 5;
/** What all see who look at about the same time. */
const SHARED_MS = 100;

export function poolService(dispatcher: Dispatcher, stopping: AbortSignal) {
  const described = async (pools: readonly Pool[]) => {
    await processUsage.fresh(pools.flatMap(({ workers }) => workers.map(({ pid }) => pid)));
    return pools.map(toPool);
  };
  const pace = new WatchPace(MESSAGE_MS);
  const all = new Shared(SHARED_MS, async () => {
    const pools = await described(dispatcher.pools);
    return { pools, text: JSON.stringify(pools, (_key, value) => (typeof value === "bigint" ? String(value) : value)) };
  });
  return {
    async listPools(_request: ListPoolsRequest) {
      return { pools: await described(dispatcher.pools) };
    },
    async getPool({ pool }: GetPoolRequest) {
      return { pool: (await described([dispatcher.pool(pool)]))[0]! };
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
      for await (const _tick of pace.ticks(intervalMs, AbortSignal.any([context.signal, stopping]))) {
        const { pools, text } = await all.get();
        if (text === last) continue;
        last = text;
        yield { pools };
      }
    },
  } satisfies Implementation<typeof PoolService>;
}
