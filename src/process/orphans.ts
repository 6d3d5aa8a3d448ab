import { readFileSync } from "node:fs";
import type { Log } from "../log.ts";

const LOOK_EVERY_MS = 2_000;

/**
 * Says what it means to be process 1, as in a container without an init: whatever outlives its parents becomes a child
 * of this process, and stays in the table of processes when it has ended, as Node asks only for the processes that it
 * started. Warns when that has happened. Elsewhere nothing is done.
 */
export function watchOrphans(log: Log): void {
  if (process.pid !== 1 || process.platform !== "linux") return;
  log.info({ event: "process.first" }, `this is process 1 of a container without an init: ${REMEDY}`);
  let before: readonly number[] = [];
  const timer = setInterval(() => {
    const now = endedChildren();
    // What this process started itself is there for a moment only.
    const left = now.filter((pid) => before.includes(pid));
    before = now;
    if (left.length === 0) return;
    clearInterval(timer);
    const message = `processes that workers left behind have ended, and nobody collects them: ${REMEDY}`;
    log.warn({ event: "process.zombies", pids: left.slice(0, 10), count: left.length }, message);
  }, LOOK_EVERY_MS).unref();
}

const REMEDY = "start the container with one (docker run --init, or tini as its entry point)";

/** Children of this process that have ended and were not collected. */
function endedChildren(): number[] {
  return readText(`/proc/${process.pid}/task/${process.pid}/children`)
    .split(" ")
    .map(Number)
    .filter((pid) => pid > 0 && /^State:\tZ/m.test(readText(`/proc/${pid}/status`)));
}

/** Empty where there is none. */
function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
