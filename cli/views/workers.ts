import { type Worker, WorkerState } from "../../gen/roadrunner/pool/v1/pool_pb.ts";
import { stateName, timeMs } from "../message-data.ts";
import type { Colour } from "../output/colour.ts";
import { formatAge, formatBytes, formatCount, formatDuration } from "../output/format.ts";
import type { Page } from "../output/output.ts";
import { type Cell, type Column, renderTable } from "../output/table.ts";

const STATE_COLOURS: Record<WorkerState, Colour> = {
  [WorkerState.UNSPECIFIED]: "dim",
  [WorkerState.BOOTING]: "yellow",
  [WorkerState.READY]: "cyan",
  [WorkerState.WORKING]: "green",
  [WorkerState.STOPPING]: "yellow",
  [WorkerState.KILLED]: "red",
  [WorkerState.EXITED]: "red",
};

const COLUMNS: Column[] = [
  { header: "POOL" },
  { header: "PID", align: "right" },
  { header: "STATUS" },
  { header: "EXECS", align: "right" },
  { header: "MEMORY", align: "right" },
  { header: "CPU%", align: "right" },
  { header: "CREATED" },
  { header: "RUNNING" },
];

export function workersView(workers: readonly Worker[], page: Page): string {
  return renderTable(
    COLUMNS,
    workers.map((worker) => [
      worker.pool,
      String(worker.pid),
      { text: statusText(worker), colour: STATE_COLOURS[worker.state] ?? "dim" },
      executions(worker),
      worker.memoryBytes === 0n ? "-" : formatBytes(worker.memoryBytes),
      worker.cpuPercent.toFixed(1),
      age(worker, page.nowMs),
      running(worker, page.nowMs),
    ]),
    page,
  );
}

function statusText(worker: Worker): string {
  const state = stateName(WorkerState, worker.state);
  return worker.stateReason === "" ? state : `${state} (${worker.stateReason})`;
}

function executions(worker: Worker): string {
  const done = formatCount(worker.executions);
  return worker.executionsMax === 0n ? done : `${done}/${formatCount(worker.executionsMax)}`;
}

function age(worker: Worker, nowMs: number): string {
  const createdMs = timeMs(worker.createTime);
  return createdMs === undefined ? "-" : formatAge(nowMs - createdMs);
}

/** The call that it runs, and for how long. */
function running(worker: Worker, nowMs: number): Cell {
  const startMs = timeMs(worker.requestStartTime);
  if (startMs === undefined) return worker.requestId;
  const duration = `for ${formatDuration(Math.max(0, nowMs - startMs))}`;
  return worker.requestId === "" ? duration : `${worker.requestId} ${duration}`;
}
