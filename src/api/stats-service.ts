import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { CallContext } from "nice-grpc-common";
import type {
  GetStatsRequest,
  StatsService,
  WatchStatsRequest,
} from "../../gen/roadrunner/stats/v1/stats_service_pb.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Implementation } from "../grpc/service-definition.ts";
import { processUsage } from "../process/process-usage.ts";
import type { Spool } from "../spool/spool.ts";
import { counters, preciseDuration, toDistribution, toPool } from "./convert.ts";
import type { OpenStreams } from "./dispatch-service.ts";
import { LoopDelay } from "./loop-delay.ts";
import { Shared, WatchPace } from "./watch-pace.ts";

const DEFAULT_INTERVAL_MS = 1000;
/** All watchers together are told 200 times a second at most. */
const MESSAGE_MS = 5;
/** What all see who look at about the same time. */
const SHARED_MS = 50;

export function statsService(
  dispatcher: Dispatcher,
  streams: OpenStreams,
  frontendMemoryBytes: () => number,
  spool: Pick<Spool, "failedFiles" | "waitingBytes">,
  stopping: AbortSignal,
) {
  const loopDelay = new LoopDelay(stopping);
  const pace = new WatchPace(MESSAGE_MS);

  const stats = new Shared(SHARED_MS, async () => {
    await processUsage.fresh(dispatcher.pools.flatMap(({ workers }) => workers.map(({ pid }) => pid)));
    const cpu = process.cpuUsage();
    return {
      time: timestampFromMs(Date.now()),
      uptime: preciseDuration(process.uptime() * 1000),
      coreMemoryBytes: BigInt(process.memoryUsage.rss()),
      coreCpuTime: preciseDuration((cpu.user + cpu.system) / 1000),
      eventLoopDelayP99: preciseDuration(loopDelay.p99Ms),
      callsOpen: dispatcher.callsOpen,
      dispatchStreams: streams.dispatchStreams,
      frontendMemoryBytes: BigInt(frontendMemoryBytes()),
      spoolFailures: BigInt(spool.failedFiles),
      waitingReplyBytes: BigInt(spool.waitingBytes),
      pools: dispatcher.pools.map((pool) => ({
        pool: toPool(pool),
        queueTime: toDistribution(pool.figures.queueTime),
        execTime: toDistribution(pool.figures.execTime),
        bootTime: toDistribution(pool.figures.bootTime),
        responses: counters(pool.figures.responses),
      })),
    };
  });

  return {
    async getStats(_request: GetStatsRequest) {
      return { stats: await stats.get() };
    },
    async *watchStats({ interval }: WatchStatsRequest, context: CallContext) {
      const intervalMs = interval ? durationMs(interval) : DEFAULT_INTERVAL_MS;
      for await (const _tick of pace.ticks(intervalMs, AbortSignal.any([context.signal, stopping])))
        yield { stats: await stats.get() };
    },
  } satisfies Implementation<typeof StatsService>;
}
