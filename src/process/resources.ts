import { readFileSync } from "node:fs";

export interface ProcessUsage {
  /** Resident memory; 0 where the system does not tell. */
  memoryBytes: number;
  /** Processor time since the process started, in milliseconds; 0 where the system does not tell. */
  cpuMs: number;
}

/** The kernel counts in ticks of 10 ms on every Linux that Node runs on (USER_HZ is 100 by ABI). */
const TICK_MS = 10;

/** What a process uses, read from /proc. */
export function readUsage(pid: number): ProcessUsage {
  return { memoryBytes: readMemoryBytes(pid), cpuMs: readCpuMs(pid) };
}

/** Resident memory of a process; 0 where the system does not tell or the process is gone. */
export function readMemoryBytes(pid: number): number {
  if (process.platform !== "linux") return 0;
  try {
    const match = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
    return match ? Number(match[1]) * 1024 : 0;
  } catch {
    return 0;
  }
}

function readCpuMs(pid: number): number {
  if (process.platform !== "linux") return 0;
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the name in parentheses and may hold anything; utime and stime are the 14th and 15th.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return 0;
  }
}
