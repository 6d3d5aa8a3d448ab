import type { Deadline } from "../async/deadline.ts";
import { Waiters } from "../async/waiters.ts";
import type { Clock } from "../clock.ts";
import type { PoolOptions } from "../config/options.ts";
import { type ErrorReason, RrError } from "../errors.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import type { Worker } from "../worker/worker.ts";
import { Call, type CallOptions, type CallOwner, type CallSink } from "./call.ts";
import { DynamicAllocator } from "./dynamic-allocator.ts";
import { PoolFigures } from "./pool-figures.ts";
import { PoolReporter } from "./pool-reporter.ts";
import { WaitQueue } from "./wait-queue.ts";
import { Workforce, type WorkforceOwner } from "./workforce.ts";

export type PoolState = "booting" | "serving" | "paused" | "failing" | "draining" | "stopped";

export interface PoolDependencies {
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventLog;
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
}

/** Workers that may begin a call, one after the other. */
const ATTEMPTS_MAX = 2;
/** Times that a call may be handed on because its worker asked to be replaced. */
const RERUNS_MAX = 10;
/** What PHP ends with after an uncaught exception or fatal error: the application's own doing, and it would do it again. */
const PHP_FATAL_EXIT_CODE = "255";

/** A pool: calls find a worker or wait for one, and operators steer it. `Workforce` keeps the workers. */
export class Pool implements CallOwner, WorkforceOwner {
  readonly options: PoolOptions;
  readonly figures = new PoolFigures();
  readonly createdAtMs: number;

  readonly #clock: Clock;
  readonly #reporter: PoolReporter;
  readonly #workforce: Workforce;
  readonly #allocator: DynamicAllocator | undefined;
  readonly #queue: WaitQueue<Call>;
  #queueTimer: NodeJS.Timeout | undefined;
  #lifecycle: "starting" | "running" | "draining" | "stopped" = "starting";
  #paused = false;
  /** Calls that were taken and do not wait in the queue. */
  #callsRunning = 0;
  #debugWorkers = 0;
  /** Resets, scaling and the like run one after another. */
  #operation: Promise<unknown> = Promise.resolve();
  readonly #idleWaiters = new Waiters();

  constructor(options: PoolOptions, { clock, log, events, baseEnv }: PoolDependencies) {
    this.options = options;
    this.#clock = clock;
    this.#reporter = new PoolReporter(
      options.name,
      log.child({ channel: "server", pool: options.name }),
      events,
      clock,
    );
    this.#workforce = new Workforce({
      options,
      clock,
      baseEnv,
      reporter: this.#reporter,
      figures: this.figures,
      owner: this,
    });
    this.#queue = new WaitQueue(options.maxQueueLength);
    this.createdAtMs = clock.wallMs();
    if (options.dynamicAllocator && !options.debug)
      this.#allocator = new DynamicAllocator(options.dynamicAllocator, {
        queueLength: () => this.#queue.length,
        changed: (extra, grew) => this.#allocatorChanged(extra, grew),
      });
  }

  get name(): string {
    return this.options.name;
  }

  get state(): PoolState {
    if (this.#lifecycle === "stopped" || this.#lifecycle === "draining") return this.#lifecycle;
    if (this.#paused) return "paused";
    if (this.options.debug) return this.#lifecycle === "starting" ? "booting" : "serving";
    if (this.#workforce.liveCount > 0) return "serving";
    return this.#workforce.failure ? "failing" : "booting";
  }

  get stateReason(): string {
    return this.#workforce.failure?.error.message ?? "";
  }

  get generation(): number {
    return this.#workforce.generation;
  }

  get workersWanted(): number {
    return this.#workforce.wantedInAll;
  }

  get workersBooting(): number {
    return this.#workforce.booting;
  }

  get workers(): readonly Worker[] {
    return this.#workforce.workers;
  }

  worker(pid: number): Worker | undefined {
    return this.#workforce.worker(pid);
  }

  get queueLength(): number {
    return this.#queue.length;
  }

  /** Calls that wait or run. */
  get callsOpen(): number {
    return this.#queue.length + this.#callsRunning;
  }

  // Calls.

  /** Takes a call. A refusal reaches the sink too, before this returns. */
  dispatch(options: CallOptions, sink: CallSink): Call {
    const call = new Call(options, sink, this, this.#clock.monotonicMs());
    const refusal = this.#refusal() ?? this.#emptyPayload(call);
    if (refusal) {
      this.figures.countFailure(refusal.reason);
      this.#failUnqueued(call, refusal);
      return call;
    }
    this.#limit(call, options.timeoutMs ?? 0);
    this.#place(call);
    return call;
  }

  /** Why the pool would refuse a call now; undefined: it would take it. For callers whose request is still on its way. */
  admission(): RrError | undefined {
    const refusal = this.#refusal();
    if (refusal) this.figures.countFailure(refusal.reason);
    return refusal;
  }

  #limit(call: Call, timeoutMs: number): void {
    if (timeoutMs === 0) return;
    const message = `the call to pool "${this.name}" took longer than the ${timeoutMs} ms its caller gave it`;
    const expire = () =>
      call.expire(new RrError("DEADLINE_EXCEEDED", message, { metadata: { pool: this.name, limit_ms: timeoutMs } }));
    call.limitedBy(this.#clock.after(timeoutMs, expire));
  }

  /** Gives a call to a worker, or lets it wait for one. */
  #place(call: Call): void {
    const worker = this.#workforce.takeReady();
    if (worker) {
      this.#callsRunning++;
      this.#run(call, worker);
    } else if (this.options.debug && this.#debugWorkers < this.options.numWorkersMax) {
      this.#callsRunning++;
      void this.#runInFreshWorker(call);
    } else this.#enqueue(call);
  }

  #emptyPayload({ request }: Call): RrError | undefined {
    if (request.context.length > 0 || request.body.length > 0 || request.source) return undefined;
    const metadata = { pool: this.name };
    return new RrError("INVALID_REQUEST", "the payload is empty: give it a context or a body", { metadata });
  }

  #refusal(): RrError | undefined {
    const { name } = this;
    const metadata = { pool: name };
    if (this.#lifecycle === "draining" || this.#lifecycle === "stopped")
      return new RrError("DRAINING", `pool "${name}" is stopping and takes no new calls`, {
        metadata,
        retryAfterMs: 1000,
      });
    if (this.#paused)
      return new RrError("POOL_PAUSED", `pool "${name}" is paused: resume it with "rrctl resume ${name}"`, {
        metadata,
        retryAfterMs: 5000,
      });
    const { failure } = this.#workforce;
    if (failure) return this.#crashLoop(failure.error, failure.retryAfterMs);
    if (this.#workforce.anyReady || !this.#queue.full) return undefined;
    const waiting = `${this.#queue.length} calls wait for a worker of pool "${name}"`;
    this.#reporter.flood("pool.queue_full", "QUEUE_FULL", `${waiting}: further ones are refused`);
    return new RrError("QUEUE_FULL", `${waiting}, more are not allowed (pool.max_queue_size)`, {
      metadata,
      retryAfterMs: 1000,
    });
  }

  #crashLoop(error: RrError, retryAfterMs: number): RrError {
    const message = `pool "${this.name}" has no workers because they fail to boot: ${error.message}`;
    return new RrError("CRASH_LOOP", message, { metadata: { pool: this.name }, retryAfterMs });
  }

  #run(call: Call, worker: Worker): void {
    const nowMs = this.#clock.monotonicMs();
    if (call.attempts === 0) this.figures.queueTime.record(nowMs - call.enqueuedAtMs, nowMs);
    call.runOn(worker, nowMs);
    this.#workforce.aboutToExecute(worker);
    worker.execute(call);
  }

  #enqueue(call: Call): void {
    const { queueWaitMs } = this.options;
    this.#queue.push(call, this.#clock.monotonicMs() + queueWaitMs);
    this.#queueTimer ??= setTimeout(() => this.#expireQueue(), queueWaitMs);
    this.#allocator?.callQueued();
  }

  #expireQueue(): void {
    this.#queueTimer = undefined;
    const { queueWaitMs } = this.options;
    const nowMs = this.#clock.monotonicMs();
    const expired = this.#queue.takeExpired(nowMs);
    const message = `no worker of pool "${this.name}" became free within ${queueWaitMs} ms (pool.allocate_timeout)`;
    if (expired.length > 0)
      this.#reporter.flood("pool.queue_timeout", "QUEUE_WAIT_EXCEEDED", `${message}: ${expired.length} calls gave up`);
    for (const call of expired) {
      this.figures.countFailure("QUEUE_WAIT_EXCEEDED");
      const metadata = { pool: this.name };
      this.#failUnqueued(call, new RrError("QUEUE_WAIT_EXCEEDED", message, { metadata, retryAfterMs: 1000 }));
    }
    const nextMs = this.#queue.nextDeadlineMs;
    if (nextMs !== undefined) this.#queueTimer = setTimeout(() => this.#expireQueue(), Math.max(1, nextMs - nowMs));
  }

  /** Fails a call that is not in the queue and on no worker. */
  #failUnqueued(call: Call, error: RrError): void {
    this.#callsRunning++;
    call.fail(error);
  }

  #failQueued(error: RrError): void {
    for (const call of this.#queue.takeAll()) {
      this.figures.countFailure(error.reason);
      this.#failUnqueued(call, error);
    }
  }

  /** In debug mode every call gets a worker of its own, so that changed code shows at once. */
  async #runInFreshWorker(call: Call): Promise<void> {
    this.#debugWorkers++;
    try {
      const worker = await this.#workforce.boot(this.generation);
      this.#workforce.track(worker);
      if (call.ended) void worker.stop("debug");
      else this.#run(call, worker);
      await worker.exited;
    } catch (thrown) {
      call.fail(RrError.from(thrown));
    } finally {
      this.#debugWorkers--;
      const next = this.#queue.shift();
      if (next) this.#place(next);
    }
  }

  // What calls tell.

  callEnded(call: Call, error: RrError | undefined): void {
    if (call.worker) {
      const nowMs = this.#clock.monotonicMs();
      this.figures.executions++;
      this.figures.execTime.record(nowMs - call.startedAtMs, nowMs);
      if (error) this.figures.countFailure(error.reason);
    }
    this.#callLeft();
  }

  callFailed(call: Call, error: RrError, answered: boolean): void {
    const died = error.reason === "WORKER_EXITED" && error.metadata.exit_code !== PHP_FATAL_EXIT_CODE;
    if (died && call.idempotent && !answered && call.attempts < Math.min(ATTEMPTS_MAX, call.attemptsMax)) {
      if (this.#lifecycle === "stopped") return call.fail(this.#cutOff(error));
      this.figures.retries++;
      this.#reporter.callRetried(call, error);
      call.retried();
      return this.#again(call);
    }
    if (error.reason === "WORKER_ERROR") this.#reporter.applicationError(call, error);
    call.fail(error);
  }

  /** Whoever has another server to send the call to may do so. */
  #cutOff(error: RrError): RrError {
    const message = `pool "${this.name}" is stopped, and the call took longer than it could wait`;
    return new RrError("DRAINING", message, { cause: error, metadata: { pool: this.name }, retryAfterMs: 1000 });
  }

  callWantsRerun(call: Call): void {
    if (call.attempts <= RERUNS_MAX) return this.#again(call);
    const message = `${call.attempts} workers of pool "${this.name}" in a row asked to be replaced instead of answering`;
    call.fail(new RrError("WORKER_EXITED", message, { metadata: { pool: this.name } }));
  }

  callLeftEarly(call: Call, reason: ErrorReason): void {
    this.figures.countFailure(reason);
    if (this.#queue.remove(call)) this.#wakeIdleWaiters();
    else this.#callLeft();
  }

  #again(call: Call): void {
    call.worker = undefined;
    this.#callsRunning--;
    this.#place(call);
  }

  #callLeft(): void {
    this.#callsRunning--;
    this.#wakeIdleWaiters();
  }

  #wakeIdleWaiters(): void {
    if (this.callsOpen === 0) this.#idleWaiters.wakeAll();
  }

  // What the workforce tells.

  workerAvailable(worker: Worker): boolean {
    const call = this.#queue.shift();
    if (!call) return false;
    this.#callsRunning++;
    this.#run(call, worker);
    return true;
  }

  workforceFailing(error: RrError): void {
    this.#failQueued(this.#crashLoop(error, 0));
  }

  #allocatorChanged(extraWorkers: number, grew: boolean): void {
    const message = `pool "${this.name}" has ${extraWorkers} extra workers`;
    this.#reporter.log.info({ extra_workers: extraWorkers }, message);
    this.#reporter.event(grew ? "pool.grown" : "pool.shrunk", { message, attributes: { extra_workers: extraWorkers } });
    this.#workforce.setExtra(extraWorkers);
  }

  // Operations.

  /** Boots the first workers. Rejects with the reason of the first one that fails; nothing runs then. */
  async start(): Promise<void> {
    await this.#workforce.open();
    this.#lifecycle = "running";
    const message = `pool "${this.name}" serves with ${this.workers.length} workers`;
    this.#reporter.event("pool.started", { message });
  }

  /** Replaces all workers. Says how long the new ones took. The old ones serve on if it fails. */
  reset(): Promise<{ bootTimeMs: number }> {
    return this.#exclusive("pool.reset_failed", async () => {
      const startedAtMs = this.#clock.monotonicMs();
      const generation = this.generation + 1;
      const successors = await this.#workforce.bootMany(this.workersWanted, generation);
      const retired = this.#workforce.succeed(generation, successors);
      this.#killLater(retired, this.options.resetTimeoutMs);
      const bootTimeMs = this.#clock.monotonicMs() - startedAtMs;
      const fields = { generation, boot_ms: Math.round(bootTimeMs) };
      const message = `generation ${generation} of pool "${this.name}" serves`;
      this.#reporter.log.info(fields, message);
      this.#reporter.event("pool.reset", { message, attributes: fields });
      return { bootTimeMs };
    });
  }

  /** Sets the number of workers. Throws INVALID_REQUEST with the allowed range. */
  scale(workers: number): Promise<void> {
    this.#checkScale(workers);
    return this.#exclusive("pool.scale_failed", async () => {
      const before = this.#workforce.wanted;
      if (workers > before)
        for (const worker of await this.#workforce.bootMany(workers - before, this.generation))
          this.#workforce.admit(worker);
      this.#workforce.setWanted(workers);
      this.#reportScale(before, workers);
    });
  }

  #checkScale(workers: number): void {
    const { name } = this;
    const min = this.#paused ? 0 : 1;
    const max = this.options.numWorkersMax;
    if (this.options.debug)
      throw new RrError(
        "FAILED_PRECONDITION",
        `pool "${name}" is in debug mode: every call gets a worker of its own, there is nothing to scale`,
      );
    if (workers >= min && workers <= max) return;
    const zero = workers === 0 ? `; 0 is only allowed for a paused pool ("rrctl pause ${name}")` : "";
    const description = `expected ${min} to ${max}, got ${workers}${zero}`;
    throw new RrError("INVALID_REQUEST", `pool "${name}" cannot have ${workers} workers: ${description}`, {
      metadata: { pool: name, min, max },
      violations: [{ field: "workers", description }],
    });
  }

  #reportScale(before: number, workers: number): void {
    if (workers === before) return;
    const message = `pool "${this.name}" was scaled from ${before} to ${workers} workers`;
    const fields = { from: before, to: workers };
    this.#reporter.log.info(fields, message);
    this.#reporter.event("pool.scaled", { message, attributes: fields });
  }

  addWorker(): Promise<void> {
    return this.scale(this.#workforce.wanted + 1);
  }

  /** Removes a worker after its call: the given one, or the one that is missed least. Never the last. */
  async removeWorker(worker: Worker | undefined): Promise<void> {
    const before = this.#workforce.wanted;
    if (before <= 1)
      throw new RrError(
        "FAILED_PRECONDITION",
        `pool "${this.name}" has ${before === 1 ? "only one worker" : "no workers"}, and the last one is not removed: pause the pool instead`,
        {
          metadata: { pool: this.name },
        },
      );
    if (worker?.leaving !== "") return this.scale(before - 1);
    this.#workforce.retire(worker, "scale");
    this.#workforce.setWanted(before - 1);
    this.#reportScale(before, before - 1);
  }

  /** Boots a successor, then ends the worker after its call. */
  restartWorker(worker: Worker): Promise<Worker> {
    return this.#exclusive("pool.scale_failed", async () => {
      const [successor] = await this.#workforce.bootMany(1, this.generation);
      this.#workforce.admit(successor!);
      this.#workforce.retire(worker, "restart");
      this.#workforce.maintain();
      return successor!;
    });
  }

  killWorker(worker: Worker): void {
    worker.kill(
      new RrError("WORKER_EXITED", `worker ${worker.pid} of pool "${this.name}" was killed by an operator`, {
        metadata: { pool: this.name, pid: worker.pid, signal: "SIGKILL" },
      }),
    );
  }

  /** Refuses calls, the waiting ones included, until resumed. Running ones finish. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#reporter.event("pool.paused", { message: `pool "${this.name}" was paused` });
    if (this.#queue.length > 0) this.#failQueued(this.#refusal()!);
  }

  /** A pool that was scaled to 0 comes back with its configured number. */
  async resume(): Promise<void> {
    if (!this.#paused) return;
    if (this.#workforce.wanted === 0 && !this.options.debug) await this.scale(Math.max(1, this.options.numWorkers));
    this.#paused = false;
    this.#reporter.event("pool.resumed", { message: `pool "${this.name}" takes calls again` });
  }

  /** Takes nothing new; what waits and runs goes on. */
  drain(): void {
    if (this.#lifecycle === "running") this.#lifecycle = "draining";
  }

  /** Settles when no call waits or runs, or when the moment has come. */
  async whenIdle(deadline: Deadline): Promise<void> {
    if (this.callsOpen === 0 || deadline.passed) return;
    const idle = new Promise<void>((resolve) => this.#idleWaiters.add(resolve));
    await deadline.race(idle);
  }

  /**
   * Ends everything by the deadline: takes nothing new, waits for calls, fails those that are left with DRAINING, stops
   * all workers and kills those that do not go.
   *
   * @param cut how long calls are waited for, `pool.destroy_timeout` at most
   */
  async stop(deadline: Deadline, cut = deadline): Promise<void> {
    if (this.#lifecycle !== "stopped") this.#lifecycle = "draining";
    this.#workforce.stopBoots();
    await this.whenIdle(cut.within(this.options.destroyTimeoutMs));
    this.#lifecycle = "stopped";
    clearTimeout(this.#queueTimer);
    this.#allocator?.close();
    if (this.#queue.length > 0) this.#failQueued(this.#refusal()!);
    await this.#workforce.close(deadline);
  }

  #killLater(workers: readonly Worker[], delayMs: number): void {
    if (workers.length === 0) return;
    const timer = setTimeout(() => {
      for (const worker of workers) {
        const message = `worker ${worker.pid} of pool "${this.name}" was killed: its call outlasted the reset by ${delayMs} ms (pool.reset_timeout)`;
        worker.kill(new RrError("WORKER_EXITED", message, { metadata: { pool: this.name, pid: worker.pid } }));
      }
    }, delayMs);
    timer.unref();
    void Promise.all(workers.map((worker) => worker.exited)).then(() => clearTimeout(timer));
  }

  /** Runs operations one after another; a failure is an event of the given type. */
  #exclusive<Result>(
    failure: "pool.reset_failed" | "pool.scale_failed",
    operation: () => Promise<Result>,
  ): Promise<Result> {
    const run = this.#operation.then(async () => {
      if (this.#lifecycle !== "running")
        throw new RrError("DRAINING", `pool "${this.name}" is ${this.state}: nothing can be changed now`);
      try {
        return await operation();
      } catch (thrown) {
        const { reason, message } = RrError.from(thrown);
        this.#reporter.event(failure, { reason, message });
        throw thrown;
      }
    });
    this.#operation = run.catch(() => {});
    return run;
  }
}
