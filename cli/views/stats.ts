import type { Distribution, PoolStats, Stats } from "../../gen/roadrunner/stats/v1/stats_service_pb.ts";
import { spanMs } from "../message-data.ts";
import { counted, formatBytes, formatCount, formatDuration } from "../output/format.ts";
import type { Page } from "../output/output.ts";
import { type Column, renderPairs, renderTable } from "../output/table.ts";
import { failedCalls, statusCell } from "./pools.ts";

const COLUMNS: Column[] = [
  { header: "POOL" },
  { header: "STATUS" },
  { header: "EXECS", align: "right" },
  { header: "FAILED", align: "right" },
  { header: "RETRIED", align: "right" },
  { header: "EXEC P50", align: "right" },
  { header: "P99", align: "right" },
  { header: "MAX", align: "right" },
  { header: "QUEUE P50", align: "right" },
  { header: "P99", align: "right" },
  { header: "BOOT P50", align: "right" },
];

export function statsView(stats: Stats, page: Page): string {
  const head = renderPairs(
    [
      ["up", formatDuration(spanMs(stats.uptime))],
      ["core memory", formatBytes(stats.coreMemoryBytes)],
      ["frontend memory", formatBytes(stats.frontendMemoryBytes)],
      ["core cpu time", formatDuration(spanMs(stats.coreCpuTime))],
      ["event loop delay", `${formatDuration(spanMs(stats.eventLoopDelayP99))} (99 %)`],
      ["calls open", `${stats.callsOpen} on ${counted(stats.dispatchStreams, "stream")}`],
    ],
    page.paint,
  );
  if (stats.pools.length === 0) return head;
  const table = renderTable(COLUMNS, stats.pools.map(poolRow), page);
  const reasons = endedLines(stats.pools);
  return `${head}\n${table}${reasons === "" ? "" : `\n${reasons}`}`;
}

function poolRow({ pool, execTime, queueTime, bootTime }: PoolStats) {
  const failed = pool === undefined ? 0n : failedCalls(pool);
  return [
    pool?.name ?? "",
    pool === undefined ? "" : statusCell(pool),
    formatCount(pool?.executions ?? 0n),
    failed === 0n ? "0" : { text: formatCount(failed), colour: "red" as const },
    formatCount(pool?.retries ?? 0n),
    duration(execTime, "p50"),
    duration(execTime, "p99"),
    duration(execTime, "max"),
    duration(queueTime, "p50"),
    duration(queueTime, "p99"),
    duration(bootTime, "p50"),
  ];
}

/** Without values there is no duration to tell. */
function duration(distribution: Distribution | undefined, which: "p50" | "p99" | "max"): string {
  if (distribution === undefined || distribution.count === 0n) return "-";
  return formatDuration(spanMs(distribution[which]));
}

/** What responses were like, and why calls and boots failed and workers ended, where any did. */
function endedLines(pools: readonly PoolStats[]): string {
  return pools
    .flatMap(({ pool, responses }) => {
      if (pool === undefined) return [];
      return [
        reasonsLine(`${pool.name}: responses`, responses),
        reasonsLine(`${pool.name}: failed calls`, pool.failures),
        reasonsLine(`${pool.name}: failed boots`, pool.bootFailures),
        reasonsLine(`${pool.name}: ${counted(pool.workersStarted, "worker")} started; ended`, pool.workersEnded),
      ];
    })
    .filter((line) => line !== "")
    .map((line) => `${line}\n`)
    .join("");
}

function reasonsLine(title: string, counts: Readonly<Record<string, bigint>>): string {
  const known = Object.entries(counts).filter(([, count]) => count > 0n);
  if (known.length === 0) return "";
  known.sort(([, left], [, right]) => (left < right ? 1 : -1));
  return `${title}: ${known.map(([reason, count]) => `${formatCount(count)} ${reason}`).join(", ")}`;
}
