import { readUsage } from "../process/resources.ts";

/** Entries of processes that nobody asked for in so long are dropped. */
const FORGET_AFTER_MS = 60_000;

/** Share of one processor that processes used since the last look at them. */
export class CpuMeter {
  readonly #last = new Map<number, { cpuMs: number; atMs: number }>();

  /** Percent of one processor; 0 at the first look. */
  percent(pid: number): number {
    const atMs = performance.now();
    for (const [known, entry] of this.#last) if (atMs - entry.atMs > FORGET_AFTER_MS) this.#last.delete(known);
    const { cpuMs } = readUsage(pid);
    const last = this.#last.get(pid);
    this.#last.set(pid, { cpuMs, atMs });
    if (!last || atMs <= last.atMs) return 0;
    return Math.round((1000 * (cpuMs - last.cpuMs)) / (atMs - last.atMs)) / 10;
  }
}
