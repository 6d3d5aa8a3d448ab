import { readFile } from "node:fs/promises";
import { type Clock, systemClock } from "../clock.ts";
import { cpuMsOf, memoryBytesOf, type ProcessUsage, readUsage } from "./resources.ts";

/** Figures of this age are as good as new. */
const FRESH_MS = 200;
/** The share of a processor is told over so long at least, if there are figures from then. */
const CPU_WINDOW_MS = 1_000;
/** Figures that nobody asked for in so long are dropped. */
const FORGET_MS = 60_000;
/** Processes that are looked at side by side. */
const READS_AT_ONCE = 16;

interface Look extends ProcessUsage {
  readonly atMs: number;
}

/**
 * What processes use, for all who want to know: one look serves everybody who asks at about that time, and nobody's look
 * changes what others see. The files of /proc are read asynchronously, and only while somebody asks.
 */
export class ProcessUsageSampler {
  readonly #clock: Clock;
  readonly #read: (pid: number) => Promise<ProcessUsage>;
  readonly #readNow: (pid: number) => ProcessUsage;
  /** By process id, the oldest look first. */
  readonly #looks = new Map<number, Look[]>();
  #looking: Promise<void> | undefined;

  constructor(clock: Clock, read = readUsageLater, readNow = readUsage) {
    this.#clock = clock;
    this.#read = read;
    this.#readNow = readNow;
  }

  /** Settles when there are figures of all these processes that are as good as new. */
  async fresh(pids: readonly number[]): Promise<void> {
    // Who comes while others look waits for them; then there may be processes left that those did not look at.
    while (this.#looking) await this.#looking;
    const nowMs = this.#clock.monotonicMs();
    const stale = pids.filter(
      (pid) => nowMs - (this.#looks.get(pid)?.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) > FRESH_MS,
    );
    if (stale.length === 0) return;
    this.#looking = this.#look(stale).finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  /** Resident memory at the last look; 0: unknown. Looks at once if there was none. */
  memoryBytes(pid: number): number {
    return this.#last(pid).memoryBytes;
  }

  /** Share of one processor over about the last second, in percent; 0 at the first look. */
  cpuPercent(pid: number): number {
    const last = this.#last(pid);
    const looks = this.#looks.get(pid)!;
    const before = looks.findLast(({ atMs }) => last.atMs - atMs >= CPU_WINDOW_MS) ?? looks[0]!;
    if (last.atMs <= before.atMs) return 0;
    return Math.round((1000 * (last.cpuMs - before.cpuMs)) / (last.atMs - before.atMs)) / 10;
  }

  #last(pid: number): Look {
    const known = this.#looks.get(pid)?.at(-1);
    if (known) return known;
    return this.#add(pid, this.#readNow(pid));
  }

  async #look(pids: readonly number[]): Promise<void> {
    this.#forget();
    const left = [...pids];
    const work = async () => {
      for (let pid = left.pop(); pid !== undefined; pid = left.pop()) this.#add(pid, await this.#read(pid));
    };
    await Promise.all(Array.from({ length: Math.min(READS_AT_ONCE, pids.length) }, work));
  }

  #add(pid: number, usage: ProcessUsage): Look {
    const look = { ...usage, atMs: this.#clock.monotonicMs() };
    const looks = this.#looks.get(pid) ?? [];
    looks.push(look);
    // One that is old enough to compare with is all that is needed of the past.
    while (looks.length > 2 && look.atMs - looks[1]!.atMs >= CPU_WINDOW_MS) looks.shift();
    this.#looks.set(pid, looks);
    return look;
  }

  #forget(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [pid, looks] of this.#looks) if (nowMs - looks.at(-1)!.atMs > FORGET_MS) this.#looks.delete(pid);
  }
}

async function readUsageLater(pid: number): Promise<ProcessUsage> {
  if (process.platform !== "linux") return { memoryBytes: 0, cpuMs: 0 };
  const read = (file: string) => readFile(`/proc/${pid}/${file}`, "latin1").catch(() => "");
  const [status, stat] = await Promise.all([read("status"), read("stat")]);
  return { memoryBytes: memoryBytesOf(status), cpuMs: cpuMsOf(stat) };
}

/** Of this machine; there is one /proc. */
export const processUsage = new ProcessUsageSampler(systemClock);
