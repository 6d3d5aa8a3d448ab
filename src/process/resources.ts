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
    return memoryBytesOf(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return 0;
  }
}

function readCpuMs(pid: number): number {
  if (process.platform !== "linux") return 0;
  try {
    return cpuMsOf(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return 0;
  }
}

/** Of /proc/<pid>/status; 0 if it does not say. */
export function memoryBytesOf(status: string): number {
  const match = /^VmRSS:\s*(\d+) kB/m.exec(status);
  return match ? Number(match[1]) * 1024 : 0;
}

/** Of /proc/<pid>/stat; 0 if it does not say. */
export function cpuMsOf(stat: string): number {
  // The second field is the name in parentheses and may hold anything; utime and stime are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_MS;
}
