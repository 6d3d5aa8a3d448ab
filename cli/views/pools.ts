import { type Pool, PoolState } from "../../gen/roadrunner/pool/v1/pool_pb.ts";
import { stateName } from "../message-data.ts";
import type { Colour } from "../output/colour.ts";
import { counted, formatBytes, formatCount } from "../output/format.ts";
import type { Page } from "../output/output.ts";
import { type Cell, type Column, renderTable } from "../output/table.ts";

const STATE_COLOURS: Record<PoolState, Colour> = {
  [PoolState.UNSPECIFIED]: "dim",
  [PoolState.BOOTING]: "yellow",
  [PoolState.SERVING]: "green",
  [PoolState.PAUSED]: "yellow",
  [PoolState.DEGRADED]: "yellow",
  [PoolState.FAILING]: "red",
  [PoolState.DRAINING]: "yellow",
  [PoolState.STOPPED]: "red",
};

const COLUMNS: Column[] = [
  { header: "POOL" },
  { header: "STATUS" },
  { header: "WORKERS", align: "right" },
  { header: "READY", align: "right" },
  { header: "WORKING", align: "right" },
  { header: "QUEUE", align: "right" },
  { header: "EXECS", align: "right" },
  { header: "FAILED", align: "right" },
  { header: "MEMORY", align: "right" },
  { header: "GENERATION", align: "right" },
  { header: "COMMAND" },
];

export function poolsView(pools: readonly Pool[], page: Page): string {
  const table = renderTable(
    COLUMNS,
    pools.map((pool) => [
      pool.name,
      statusCell(pool),
      pool.debug ? "debug" : String(pool.workersWanted),
      String(pool.workersReady),
      String(pool.workersWorking),
      queue(pool),
      formatCount(pool.executions),
      failuresCell(pool),
      pool.memoryBytes === 0n ? "-" : formatBytes(pool.memoryBytes),
      String(pool.generation),
      pool.command,
    ]),
    page,
  );
  const reasons = pools.filter((pool) => pool.stateReason !== "").map((pool) => `${pool.name}: ${pool.stateReason}\n`);
  return reasons.length === 0 ? table : `${table}\n${reasons.join("")}`;
}

export function statusCell(pool: Pool): Cell {
  return { text: stateName(PoolState, pool.state), colour: STATE_COLOURS[pool.state] ?? "dim" };
}

export function failedCalls(pool: Pool): bigint {
  return Object.values(pool.failures).reduce((sum, count) => sum + count, 0n);
}

function failuresCell(pool: Pool): Cell {
  const failed = failedCalls(pool);
  return failed === 0n ? "0" : { text: formatCount(failed), colour: "red" };
}

function queue(pool: Pool): string {
  return pool.queueLengthMax === 0 ? String(pool.queueLength) : `${pool.queueLength}/${pool.queueLengthMax}`;
}

/** What became of a pool, in a sentence: "http: serving, 8 workers (6 ready, 2 working)". */
export function poolSentence(pool: Pool, page: Page): string {
  const status = statusCell(pool) as { text: string; colour: Colour };
  const parts = [`${pool.workersReady} ready`, `${pool.workersWorking} working`];
  if (pool.workersBooting > 0) parts.push(`${pool.workersBooting} booting`);
  if (pool.workersStopping > 0) parts.push(`${pool.workersStopping} stopping`);
  const workers = pool.debug ? "a fresh worker for each call" : counted(pool.workersWanted, "worker");
  return `${page.paint("bold", pool.name)}: ${page.paint(status.colour, status.text)}, ${workers} (${parts.join(", ")})\n`;
}
