import type { Clock, StopTimer } from "../clock.ts";
import type { SupervisorOptions } from "../config/options.ts";
import { readMemoryBytes } from "../process/resources.ts";
import type { Worker } from "../worker/worker.ts";
import { replacementReason } from "./supervision.ts";

/** A worker's memory is looked at after a call, but not more often than this. */
const MEMORY_READ_INTERVAL_MS = 200;

/** Looks at the workers' age, memory and idleness: by interval, and after each call. */
export class WorkerSupervisor {
  readonly #limits: SupervisorOptions;
  readonly #clock: Clock;
  readonly #workers: () => Iterable<Worker>;
  readonly #limitReached: (worker: Worker, reason: string) => void;
  #stopTimer: StopTimer | undefined;

  /** @param limitReached may be told more than once of the same worker */
  constructor(
    limits: SupervisorOptions,
    clock: Clock,
    workers: () => Iterable<Worker>,
    limitReached: (worker: Worker, reason: string) => void,
  ) {
    this.#limits = limits;
    this.#clock = clock;
    this.#workers = workers;
    this.#limitReached = limitReached;
  }

  start(): void {
    this.#stopTimer = this.#clock.after(this.#limits.watchTickMs, () => {
      this.start();
      this.#look();
    });
  }

  close(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  afterCall(worker: Worker): void {
    const { ttlMs, workerMemoryBytesMax } = this.#limits;
    if (ttlMs === 0 && workerMemoryBytesMax === 0) return;
    const nowMs = this.#clock.monotonicMs();
    if (workerMemoryBytesMax > 0 && nowMs - worker.memoryReadAtMs >= MEMORY_READ_INTERVAL_MS) readMemory(worker, nowMs);
    this.#compare(worker, nowMs, undefined);
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const worker of this.#workers()) {
      readMemory(worker, nowMs);
      const idle = worker.state === "ready" && worker.lastUsedAtMs !== undefined;
      this.#compare(worker, nowMs, idle ? nowMs - worker.lastUsedAtMs! : undefined);
    }
  }

  #compare(worker: Worker, nowMs: number, idleMs: number | undefined): void {
    const snapshot = { ageMs: nowMs - worker.startedAtMs, idleMs, memoryBytes: worker.memoryBytes };
    const reason = replacementReason(snapshot, this.#limits);
    if (reason) this.#limitReached(worker, reason);
  }
}

function readMemory(worker: Worker, nowMs: number): void {
  worker.memoryBytes = readMemoryBytes(worker.pid);
  worker.memoryReadAtMs = nowMs;
}
