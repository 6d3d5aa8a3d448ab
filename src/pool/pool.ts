import type { Deadline } from "../async/deadline.ts";
import { Waiters } from "../async/waiters.ts";
import type { Clock } from "../clock.ts";
import type { PoolOptions } from "../config/options.ts";
import { type ErrorReason, RrError } from "../errors.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import type { PipePlace } from "../process/pipes.ts";
import type { Worker } from "../worker/worker.ts";
import type { OpenWorkerProcesses } from "../worker/worker-process.ts";
import { Call, type CallOptions, type CallOwner, type CallSink } from "./call.ts";
import { CallQueue } from "./call-queue.ts";
import { DynamicAllocator } from "./dynamic-allocator.ts";
import { PoolFigures } from "./pool-figures.ts";
import { PoolOperations } from "./pool-operations.ts";
import { PoolReporter } from "./pool-reporter.ts";
import { type PoolState, poolTransition, rulesOf } from "./pool-state.ts";
import { crashLoop, refusalOf } from "./refusal.ts";
import { type ResponseCounts, ResponseWatch } from "./response-watch.ts";
import { Workforce, type WorkforceOwner } from "./workforce.ts";

export interface PoolDependencies {
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventLog;
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
  /** Takes secrets out of what is told of the pool. */
  readonly redact?: ((text: string) => string) | undefined;
  /** Where the names of pipes are made; by default among the system's temporary files. */
  readonly pipePlace?: PipePlace | undefined;
  /** What starts its processes; children of this process if undefined. */
  readonly openProcesses?: OpenWorkerProcesses;
}

/** Workers that may begin a call, one after the other. */
const ATTEMPTS_MAX = 2;
/** Times that a call may be handed on because its worker asked to be replaced. */
const RERUNS_MAX = 10;
/** What PHP ends with after an uncaught exception or fatal error: the application's own doing, and it would do it again. */
const PHP_FATAL_EXIT_CODE = "255";

/** A pool: calls find a worker or wait for one. `Workforce` keeps the workers, `PoolOperations` changes them. */
export class Pool implements CallOwner, WorkforceOwner {
  readonly options: PoolOptions;
  readonly figures = new PoolFigures();
  readonly createdAtMs: number;

  readonly #clock: Clock;
  readonly #redact: (text: string) => string;
  readonly #reporter: PoolReporter;
  readonly #responses: ResponseWatch;
  readonly #workforce: Workforce;
  readonly #operations: PoolOperations;
  readonly #allocator: DynamicAllocator | undefined;
  readonly #queue: CallQueue<Call>;
  #state: PoolState = "booting";
  #pausedBeforeDrain = false;
  /** It is drained for good. */
  #stopping = false;
  /** Calls that were taken and do not wait in the queue. */
  #callsRunning = 0;
  #debugWorkers = 0;
  readonly #idleWaiters = new Waiters();
  readonly #debugBoots = new AbortController();

  constructor(options: PoolOptions, dependencies: PoolDependencies) {
    const { clock, log, events, baseEnv, redact = (text) => text, pipePlace, openProcesses } = dependencies;
    this.options = options;
    this.#redact = redact;
    this.#clock = clock;
    const channel = log.child({ channel: "server", pool: options.name });
    this.#reporter = new PoolReporter(options.name, channel, events, clock);
    this.#responses = new ResponseWatch(clock, (counts) => this.#reporter.errorResponses(counts));
    this.#workforce = new Workforce({
      options,
      clock,
      baseEnv,
      pipePlace,
      reporter: this.#reporter,
      figures: this.figures,
      owner: this,
      openProcesses,
    });
    this.#operations = new PoolOperations({
      options,
      clock,
      reporter: this.#reporter,
      workforce: this.#workforce,
      pool: this,
    });
    this.#queue = new CallQueue({
      lengthMax: options.maxQueueLength,
      waitMs: options.queueWaitMs,
      clock,
      expired: (calls) => this.#waitedTooLong(calls),
    });
    this.createdAtMs = clock.wallMs();
    if (options.dynamicAllocator && !options.debug)
      this.#allocator = new DynamicAllocator(options.dynamicAllocator, clock, {
        queueLength: () => this.#queue.length,
        changed: (extra, grew) => this.#allocatorChanged(extra, grew),
      });
  }

  get name(): string {
    return this.options.name;
  }

  get state(): PoolState {
    return this.#state;
  }

  get stateReason(): string {
    return this.#redact(this.#workforce.failure?.error.message ?? this.#workforce.trouble);
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

  /** Why it takes no call now. */
  #refusal(): RrError | undefined {
    const refusal = this.#unreportedRefusal();
    if (refusal?.reason === "QUEUE_FULL")
      this.#reporter.flood("pool.queue_full", "QUEUE_FULL", `${refusal.message}: further ones are refused`);
    return refusal;
  }

  #unreportedRefusal(): RrError | undefined {
    return refusalOf({
      pool: this.name,
      state: this.#state,
      failure: this.#workforce.failure,
      workerReady: this.#workforce.anyReady,
      queueLength: this.#queue.length,
      queueFull: this.#queue.full,
    });
  }

  #run(call: Call, worker: Worker): void {
    const nowMs = this.#clock.monotonicMs();
    if (call.attempts === 0) this.figures.queueTime.record(nowMs - call.enqueuedAtMs, nowMs);
    call.runOn(worker, nowMs);
    this.#workforce.aboutToExecute(worker);
    worker.execute(call);
  }

  #enqueue(call: Call): void {
    this.#queue.push(call);
    this.#allocator?.callQueued();
  }

  #waitedTooLong(calls: readonly Call[]): void {
    const { queueWaitMs } = this.options;
    const message = `no worker of pool "${this.name}" became free within ${queueWaitMs} ms (pool.allocate_timeout)`;
    this.#reporter.flood("pool.queue_timeout", "QUEUE_WAIT_EXCEEDED", `${message}: ${calls.length} calls gave up`);
    for (const call of calls) {
      this.figures.countFailure("QUEUE_WAIT_EXCEEDED");
      const metadata = { pool: this.name };
      this.#failUnqueued(call, new RrError("QUEUE_WAIT_EXCEEDED", message, { metadata, retryAfterMs: 1000 }));
    }
  }

  /** Fails a call that is not in the queue and on no worker. */
  #failUnqueued(call: Call, error: RrError): void {
    this.#callsRunning++;
    call.fail(error);
  }

  /** What made the pool refuse calls holds for those that wait, too. */
  #refuseQueued(): void {
    const error = this.#unreportedRefusal();
    if (error) this.#failQueued(error);
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
      const worker = await this.#workforce.boot(this.generation, this.#debugBoots.signal);
      this.#workforce.track(worker);
      if (call.ended) void worker.stop("debug");
      else this.#run(call, worker);
      await worker.exited;
    } catch (thrown) {
      const error = RrError.from(thrown);
      call.fail((error.reason === "CANCELLED" ? this.#unreportedRefusal() : undefined) ?? error);
    } finally {
      this.#debugWorkers--;
      const next = this.#queue.shift();
      if (next) this.#place(next);
    }
  }

  /** Who has the calls says what the responses were like: the pool does not look into them. */
  countResponses(counts: ResponseCounts): void {
    for (const [statusClass, count] of Object.entries(counts))
      if (count > 0) this.figures.countResponses(statusClass, count);
    this.#responses.counted(counts);
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
      if (this.#state === "stopped") return call.fail(this.#cutOff(error));
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
    const message = `${call.attempts} workers of pool "${this.name}" in a row asked to be replaced, or closed their channel, instead of answering`;
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

  conditionChanged(): void {
    if (rulesOf(this.#state).followsWorkers) this.#moveTo(this.#workforce.condition);
  }

  workforceFailing(error: RrError): void {
    this.conditionChanged();
    this.#failQueued(crashLoop(this.name, error, 0));
  }

  #allocatorChanged(extraWorkers: number, grew: boolean): void {
    const message = `pool "${this.name}" has ${extraWorkers} extra workers`;
    this.#reporter.log.info({ extra_workers: extraWorkers }, message);
    this.#reporter.event(grew ? "pool.grown" : "pool.shrunk", { message, attributes: { extra_workers: extraWorkers } });
    this.#workforce.setExtra(extraWorkers);
  }

  // Operations. Each takes a signal that gives it up; what that means is said at `PoolOperations`. `by`: who asked for it.

  /** Boots the first workers. Rejects with the reason of the first one that fails; nothing runs then. */
  start(): Promise<void> {
    return this.#operations.start(async () => {
      await this.#workforce.open();
      this.#reporter.event("pool.started", {
        message: `pool "${this.name}" serves with ${this.workers.length} workers`,
      });
    });
  }

  /** Replaces all workers. Says how long the new ones took. The old ones serve on if it fails. */
  reset(signal?: AbortSignal, by?: string): Promise<{ bootTimeMs: number }> {
    return this.#operations.reset(signal, by);
  }

  /**
   * Sets the number of workers. Rejects with INVALID_REQUEST and the allowed range. Settles when new ones are ready, with
   * those that go, which finish their call first within `retireTimeoutMs`: the number is reached when they have ended.
   */
  scale(workers: number, signal?: AbortSignal, by?: string): Promise<readonly Worker[]> {
    return this.#operations.scale(workers, signal, by);
  }

  addWorker(signal?: AbortSignal, by?: string): Promise<void> {
    return this.#operations.addWorker(signal, by);
  }

  /** Removes a worker after its call: the given one, or the one that is missed least. Never the last. As `scale`. */
  removeWorker(worker: Worker | undefined, signal?: AbortSignal, by?: string): Promise<readonly Worker[]> {
    return this.#operations.removeWorker(worker, signal, by);
  }

  /** Boots a successor, then ends the worker after its call. */
  restartWorker(worker: Worker, signal?: AbortSignal, by?: string): Promise<Worker> {
    return this.#operations.restartWorker(worker, signal, by);
  }

  /** At once, its call with it. */
  killWorker(worker: Worker, by?: string): void {
    this.#operations.killWorker(worker, by);
  }

  /**
   * Refuses calls, the waiting ones included, until resumed. Running ones finish. Needs no turn, and what was asked for
   * before to resume the pool is void.
   */
  pause(by?: string): void {
    if (this.#state === "draining" || this.#state === "stopped")
      throw new RrError("DRAINING", `pool "${this.name}" is ${this.#state} and cannot be paused`);
    this.#operations.paused();
    if (this.#state === "paused") return;
    this.#moveTo("paused");
    this.#reporter.changed("pool.paused", `pool "${this.name}" was paused`, by);
    this.#refuseQueued();
  }

  /** A pool that was scaled to 0 comes back with its configured number. */
  resume(signal?: AbortSignal, by?: string): Promise<void> {
    return this.#operations.resume(signal, by);
  }

  unpause(by?: string): void {
    this.#moveTo(this.#workforce.condition);
    this.#reporter.changed("pool.resumed", `pool "${this.name}" takes calls again`, by);
  }

  /** Takes nothing new; what waits and runs goes on. */
  drain(): void {
    if (this.#state === "stopped" || this.#state === "draining") return;
    this.#pausedBeforeDrain = this.#state === "paused";
    this.#moveTo("draining");
  }

  /** Takes calls again as it did before the drain; a pool that was paused is paused still. */
  undrain(): void {
    if (this.#state !== "draining" || this.#stopping) return;
    this.#moveTo(this.#pausedBeforeDrain ? "paused" : this.#workforce.condition);
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
    this.#stopping = true;
    this.drain();
    const operationsEnded = this.#operations.close();
    this.#workforce.stopBoots();
    await this.whenIdle(cut.within(this.options.destroyTimeoutMs));
    this.#moveTo("stopped");
    this.#debugBoots.abort();
    this.#queue.close();
    this.#allocator?.close();
    this.#refuseQueued();
    await Promise.all([deadline.race(operationsEnded), this.#workforce.close(deadline)]);
  }

  #moveTo(state: PoolState): void {
    this.#state = poolTransition(this.#state, state);
  }
}
