import type { Clock, StopTimer } from "../clock.ts";
import { RrError } from "../errors.ts";
import type { Worker } from "../worker/worker.ts";

/** Kills workers that are to go and whose call does not end in time. */
export class RetirementDeadlines {
  readonly #pool: string;
  readonly #clock: Clock;
  readonly #due = new Map<Worker, { atMs: number; stop: StopTimer }>();

  constructor(pool: string, clock: Clock) {
    this.#pool = pool;
    this.#clock = clock;
  }

  /** A worker that has a deadline keeps the sooner one. */
  add(worker: Worker, timeoutMs: number): void {
    const atMs = this.#clock.monotonicMs() + timeoutMs;
    const known = this.#due.get(worker);
    if (known && known.atMs <= atMs) return;
    known?.stop();
    this.#due.set(worker, { atMs, stop: this.#clock.after(timeoutMs, () => this.#kill(worker, timeoutMs)) });
  }

  /** It is gone. */
  remove(worker: Worker): void {
    this.#due.get(worker)?.stop();
    this.#due.delete(worker);
  }

  #kill(worker: Worker, timeoutMs: number): void {
    this.#due.delete(worker);
    const setting = worker.leaving === "reset" ? "pool.reset_timeout" : "pool.retire_timeout";
    const message = `worker ${worker.pid} of pool "${this.#pool}" was killed: it was to go (${worker.leaving}), and its call took ${timeoutMs} ms longer (${setting})`;
    worker.kill(new RrError("WORKER_EXITED", message, { metadata: { pool: this.#pool, pid: worker.pid } }));
  }
}
