// What processes used, as Linux tells it in /proc. Elsewhere everything is undefined, and the table shows a dash.
import { readdirSync, readFileSync } from "node:fs";

/** Linux counts processor time in hundredths of a second on every platform that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Processor time that a process has used, in milliseconds. */
export function cpuMs(pid) {
  const fields = statOf(pid);
  return fields && ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

/** Resident memory in bytes, and the share of it that is its own when shared pages are split among their users. */
export function memoryBytes(pid) {
  const resident = kilobytes(`/proc/${pid}/status`, "VmRSS");
  if (resident === undefined) return undefined;
  return { resident, proportional: kilobytes(`/proc/${pid}/smaps_rollup`, "Pss") };
}

/** Processes whose parent this one is. */
export function childrenOf(pid) {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && statOf(name)?.[1] === String(pid))
      .map(Number);
  } catch {
    return [];
  }
}

/** The fields of /proc/PID/stat after the name of the program, which may hold anything: the first is the state. */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

function kilobytes(path, name) {
  try {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readFileSync(path, "latin1"));
    return match ? Number(match[1]) * 1024 : undefined;
  } catch {
    return undefined;
  }
}
