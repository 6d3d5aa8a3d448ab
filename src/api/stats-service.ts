import { monitorEventLoopDelay } from "node:perf_hooks";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { CallContext } from "nice-grpc-common";
import type {
  GetStatsRequest,
  StatsService,
  WatchStatsRequest,
} from "../../gen/roadrunner/stats/v1/stats_service_pb.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Implementation } from "../grpc/service-definition.ts";
import type { Spool } from "../spool/spool.ts";
import { counters, preciseDuration, toDistribution, toPool } from "./convert.ts";
import type { OpenStreams } from "./dispatch-service.ts";
import { atIntervals } from "./intervals.ts";

const DEFAULT_INTERVAL_MS = 1000;
const LOOP_DELAY_RESOLUTION_MS = 20;

export function statsService(
  dispatcher: Dispatcher,
  streams: OpenStreams,
  frontendMemoryBytes: () => number,
  spool: Pick<Spool, "failedFiles">,
  stopping: AbortSignal,
) {
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_DELAY_RESOLUTION_MS });
  loopDelay.enable();

  const stats = () => {
    const cpu = process.cpuUsage();
    const delayMs = Math.max(0, loopDelay.percentile(99) / 1e6 - LOOP_DELAY_RESOLUTION_MS);
    loopDelay.reset();
    return {
      time: timestampFromMs(Date.now()),
      uptime: preciseDuration(process.uptime() * 1000),
      coreMemoryBytes: BigInt(process.memoryUsage.rss()),
      coreCpuTime: preciseDuration((cpu.user + cpu.system) / 1000),
      eventLoopDelayP99: preciseDuration(delayMs),
      callsOpen: dispatcher.callsOpen,
      dispatchStreams: streams.dispatchStreams,
      frontendMemoryBytes: BigInt(frontendMemoryBytes()),
      spoolFailures: BigInt(spool.failedFiles),
      pools: dispatcher.pools.map((pool) => ({
        pool: toPool(pool),
        queueTime: toDistribution(pool.figures.queueTime),
        execTime: toDistribution(pool.figures.execTime),
        bootTime: toDistribution(pool.figures.bootTime),
        responses: counters(pool.figures.responses),
      })),
    };
  };

  return {
    async getStats(_request: GetStatsRequest) {
      return { stats: stats() };
    },
    async *watchStats({ interval }: WatchStatsRequest, context: CallContext) {
      const intervalMs = interval ? durationMs(interval) : DEFAULT_INTERVAL_MS;
      for await (const _tick of atIntervals(intervalMs, AbortSignal.any([context.signal, stopping])))
        yield { stats: stats() };
    },
  } satisfies Implementation<typeof StatsService>;
}
