import { Exclusive } from "../async/exclusive.ts";
import type { Clock } from "../clock.ts";
import type { PoolOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { EventType } from "../events/event-log.ts";
import type { Worker } from "../worker/worker.ts";
import type { PoolReporter } from "./pool-reporter.ts";
import { type PoolState, rulesOf } from "./pool-state.ts";
import type { Workforce } from "./workforce.ts";

/** The pool that is operated on. */
export interface OperatedPool {
  readonly state: PoolState;
  /** It takes calls again. */
  unpause(by: string): void;
}

export interface PoolOperationsDependencies {
  readonly options: PoolOptions;
  readonly clock: Clock;
  readonly reporter: PoolReporter;
  readonly workforce: Workforce;
  readonly pool: OperatedPool;
}

/** What an operator can ask for and what has to wait for its turn. */
interface Operation<Result> {
  /** "cannot be scaled" */
  readonly refused: string;
  /** Recorded if `run` fails. */
  readonly failure: EventType;
  /** Throws why it cannot be done. Nothing changes between this and the start of `run`. */
  check(): void;
  /** Throws before it has changed anything, or ends with everything changed. */
  run(signal: AbortSignal): Promise<Result>;
}

const NEVER = new AbortController().signal;

/**
 * What changes the workers of a pool. Operations run one after another, each checked when its turn comes, so that what
 * was checked still holds. All of them boot first and swap then, in one turn of the event loop: an operation whose
 * signal aborts ends what it boots and has changed nothing, or has swapped already and is done; its caller hears
 * CANCELLED, or DRAINING if the pool's end was the reason.
 */
export class PoolOperations {
  readonly #options: PoolOptions;
  readonly #clock: Clock;
  readonly #reporter: PoolReporter;
  readonly #workforce: Workforce;
  readonly #pool: OperatedPool;
  readonly #section = new Exclusive();
  readonly #closing = new AbortController();
  #started = false;
  /** Who asked for the operation that has its turn; "": nobody in particular. */
  #by = "";
  /** Aborts with the next pause: it is newer than the resumes that have not happened yet. */
  #untilPaused = new AbortController();

  constructor({ options, clock, reporter, workforce, pool }: PoolOperationsDependencies) {
    this.#options = options;
    this.#clock = clock;
    this.#reporter = reporter;
    this.#workforce = workforce;
    this.#pool = pool;
  }

  /** The boot of the pool. What operators ask for meanwhile waits until it is over. */
  start(boot: () => Promise<void>): Promise<void> {
    this.#started = true;
    return this.#section.run(boot, this.#closing.signal);
  }

  /** Ends what runs and waits, without leaving anything half done, and refuses what comes. */
  async close(): Promise<void> {
    this.#closing.abort(new RrError("DRAINING", `pool "${this.#options.name}" is stopping`, { retryAfterMs: 1000 }));
    await this.#section.whenIdle();
  }

  /** @param by who asked for it, here and below */
  reset(signal: AbortSignal = NEVER, by = ""): Promise<{ bootTimeMs: number }> {
    return this.#perform(
      {
        refused: "cannot be reset",
        failure: "pool.reset_failed",
        check: () => {},
        run: async (aborted) => {
          const startedAtMs = this.#clock.monotonicMs();
          const generation = this.#workforce.generation + 1;
          const successors = await this.#workforce.bootMany(this.#workforce.wantedInAll, generation, aborted);
          this.#workforce.succeed(generation, successors, this.#options.resetTimeoutMs);
          const bootTimeMs = this.#clock.monotonicMs() - startedAtMs;
          this.#report("pool.reset", `generation ${generation} of pool "${this.#options.name}" serves`, {
            generation,
            boot_ms: Math.round(bootTimeMs),
          });
          return { bootTimeMs };
        },
      },
      signal,
      by,
    );
  }

  /** The workers that have to go for it. The number is reached when they have ended, which they do without anybody waiting. */
  scale(workers: number, signal: AbortSignal = NEVER, by = ""): Promise<readonly Worker[]> {
    return this.#resize(() => workers, signal, by);
  }

  async addWorker(signal: AbortSignal = NEVER, by = ""): Promise<void> {
    await this.#resize(() => this.#workforce.wanted + 1, signal, by);
  }

  /** The workers that have to go for it. */
  removeWorker(worker: Worker | undefined, signal: AbortSignal = NEVER, by = ""): Promise<readonly Worker[]> {
    return this.#perform(
      {
        refused: "cannot lose a worker",
        failure: "pool.scale_failed",
        check: () => {
          this.#checkNotLast();
          if (worker) this.#checkThere(worker);
        },
        run: async () => {
          const before = this.#workforce.wanted;
          const leaver = worker?.leaving === "" ? worker : undefined;
          if (leaver) this.#workforce.retire(leaver, "scale");
          return this.#changeWanted(before - 1, leaver);
        },
      },
      signal,
      by,
    );
  }

  restartWorker(worker: Worker, signal: AbortSignal = NEVER, by = ""): Promise<Worker> {
    return this.#perform(
      {
        refused: `cannot restart worker ${worker.pid}`,
        failure: "pool.restart_failed",
        check: () => {
          this.#checkNotDebug();
          this.#checkThere(worker);
        },
        run: async (aborted) => {
          const [successor] = await this.#workforce.bootMany(1, this.#workforce.generation, aborted);
          this.#workforce.admit(successor!);
          // It may have gone meanwhile, or be on its way for another reason.
          if (worker.leaving === "") this.#workforce.retire(worker, "restart");
          this.#workforce.maintain();
          const { pid } = successor!;
          const message = `worker ${pid} takes the place of worker ${worker.pid} of pool "${this.#options.name}"`;
          this.#report("worker.restarted", message, { successor_pid: pid }, worker.pid);
          return successor!;
        },
      },
      signal,
      by,
    );
  }

  /** Needs no turn: nothing can come between its check and its effect. */
  killWorker(worker: Worker, by = ""): void {
    this.#checkThere(worker);
    const message = `worker ${worker.pid} of pool "${this.#options.name}" was killed by an operator`;
    const metadata = { pool: this.#options.name, pid: worker.pid, signal: "SIGKILL", actor: by || undefined };
    worker.kill(new RrError("WORKER_EXITED", message, { metadata }));
  }

  /** The pool was paused: resumes that were asked for before are void. */
  paused(): void {
    this.#untilPaused.abort(
      new RrError("FAILED_PRECONDITION", `pool "${this.#options.name}" was paused again before it was resumed`),
    );
    this.#untilPaused = new AbortController();
  }

  resume(signal: AbortSignal = NEVER, by = ""): Promise<void> {
    return this.#perform(
      {
        refused: "cannot be resumed",
        failure: "pool.resume_failed",
        check: () => this.#checkNotDrained(),
        run: async (aborted) => {
          if (this.#pool.state !== "paused") return;
          if (this.#workforce.wanted === 0 && !this.#options.debug)
            await this.#growTo(Math.max(1, this.#options.numWorkers), aborted);
          this.#pool.unpause(by);
        },
      },
      AbortSignal.any([signal, this.#untilPaused.signal]),
      by,
    );
  }

  /** As many workers as `workersOf` says when its turn comes. */
  #resize(workersOf: () => number, signal: AbortSignal, by: string): Promise<readonly Worker[]> {
    return this.#perform(
      {
        refused: "cannot be scaled",
        failure: "pool.scale_failed",
        check: () => this.#checkRange(workersOf()),
        run: async (aborted) => {
          const workers = workersOf();
          if (workers <= this.#workforce.wanted) return this.#changeWanted(workers, undefined);
          await this.#growTo(workers, aborted);
          return [];
        },
      },
      signal,
      by,
    );
  }

  async #growTo(workers: number, signal: AbortSignal): Promise<void> {
    const { wanted, generation } = this.#workforce;
    const added = await this.#workforce.bootMany(workers - wanted, generation, signal);
    for (const worker of added) this.#workforce.admit(worker);
    this.#changeWanted(workers, undefined);
  }

  /** Returns who has to go for it, and `leaver`, who has been told already. */
  #changeWanted(workers: number, leaver: Worker | undefined): Worker[] {
    const before = this.#workforce.wanted;
    const staying = this.#workforce.workers.filter(({ leaving }) => leaving === "");
    this.#workforce.setWanted(workers);
    if (workers !== before)
      this.#report("pool.scaled", `pool "${this.#options.name}" was scaled from ${before} to ${workers} workers`, {
        from: before,
        to: workers,
      });
    return [...(leaver ? [leaver] : []), ...staying.filter(({ leaving }) => leaving !== "")];
  }

  #checkNotDrained(): void {
    if (this.#pool.state !== "draining") return;
    const message = `pool "${this.#options.name}" is drained with its server, not paused: "rrctl undrain" lets both take calls again`;
    throw new RrError("FAILED_PRECONDITION", message, { metadata: { pool: this.#options.name } });
  }

  #checkNotDebug(): void {
    if (this.#options.debug)
      throw new RrError(
        "FAILED_PRECONDITION",
        `pool "${this.#options.name}" is in debug mode: every call gets a worker of its own, there is nothing to scale`,
      );
  }

  #checkRange(workers: number): void {
    this.#checkNotDebug();
    const { name, numWorkersMax: max } = this.#options;
    const min = this.#pool.state === "paused" ? 0 : 1;
    if (workers >= min && workers <= max) return;
    const zero = workers === 0 ? `; 0 is only allowed for a paused pool ("rrctl pause ${name}")` : "";
    const description = `expected ${min} to ${max}, got ${workers}${zero}`;
    throw new RrError("INVALID_REQUEST", `pool "${name}" cannot have ${workers} workers: ${description}`, {
      metadata: { pool: name, min, max },
      violations: [{ field: "workers", description }],
    });
  }

  #checkNotLast(): void {
    const { name } = this.#options;
    const { wanted } = this.#workforce;
    if (wanted > 1) return;
    const has = wanted === 1 ? "only one worker" : "no workers";
    const message = `pool "${name}" has ${has}, and the last one is not removed: pause the pool instead`;
    throw new RrError("FAILED_PRECONDITION", message, { metadata: { pool: name } });
  }

  #checkThere(worker: Worker): void {
    if (this.#workforce.worker(worker.pid) !== worker) throw this.#unknown(worker);
  }

  #unknown(worker: Worker): RrError {
    const message = `worker ${worker.pid} of pool "${this.#options.name}" has ended meanwhile`;
    return new RrError("WORKER_NOT_FOUND", message, { metadata: { pool: this.#options.name, pid: worker.pid } });
  }

  #report(type: EventType, message: string, attributes: Record<string, number>, pid = 0): void {
    const actor = this.#by || undefined;
    this.#reporter.log.info({ ...attributes, ...(actor && { actor }) }, message);
    this.#reporter.event(type, { message, pid, attributes, actor });
  }

  async #perform<Result>(operation: Operation<Result>, signal: AbortSignal, by: string): Promise<Result> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const { name } = this.#options;
    if (!this.#started)
      throw new RrError("STARTING", `pool "${name}" has not begun to boot and ${operation.refused}`, {
        retryAfterMs: 1000,
      });
    try {
      return await this.#section.run(async () => {
        const { state } = this.#pool;
        if (!rulesOf(state).changeable)
          throw new RrError("DRAINING", `pool "${name}" is ${state} and ${operation.refused}`);
        operation.check();
        this.#by = by;
        return await this.#run(operation, either);
      }, either);
    } catch (thrown) {
      if (!either.aborted) throw thrown;
      if (either.reason instanceof RrError) throw either.reason;
      throw new RrError("CANCELLED", `pool "${name}" was left as it was: whoever asked for a change gave up`);
    }
  }

  async #run<Result>(operation: Operation<Result>, signal: AbortSignal): Promise<Result> {
    try {
      return await operation.run(signal);
    } catch (thrown) {
      const { reason, message } = RrError.from(thrown);
      if (!signal.aborted) this.#reporter.event(operation.failure, { reason, message, actor: this.#by });
      throw thrown;
    } finally {
      this.#by = "";
    }
  }
}
