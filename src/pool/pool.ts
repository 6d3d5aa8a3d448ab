import type { Deadline } from "../async/deadline.ts";
import type { Clock } from "../clock.ts";
import type { PoolOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import type { PipePlace } from "../process/pipes.ts";
import type { Worker } from "../worker/worker.ts";
import type { OpenWorkerProcesses } from "../worker/worker-process.ts";
import type { Call, CallOptions, CallSink } from "./call.ts";
import { CallRunner } from "./call-runner.ts";
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

/** A pool. `CallRunner` brings its calls to workers, `Workforce` keeps those, `PoolOperations` changes them. */
export class Pool implements WorkforceOwner {
  readonly options: PoolOptions;
  readonly figures = new PoolFigures();
  readonly createdAtMs: number;

  readonly #redact: (text: string) => string;
  readonly #reporter: PoolReporter;
  readonly #responses: ResponseWatch;
  readonly #workforce: Workforce;
  readonly #operations: PoolOperations;
  readonly #allocator: DynamicAllocator | undefined;
  readonly #calls: CallRunner;
  #state: PoolState = "booting";
  #pausedBeforeDrain = false;
  /** It is drained for good. */
  #stopping = false;

  constructor(options: PoolOptions, dependencies: PoolDependencies) {
    const { clock, log, events, baseEnv, redact = (text) => text, pipePlace, openProcesses } = dependencies;
    this.options = options;
    this.#redact = redact;
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
    this.#calls = new CallRunner({
      options,
      clock,
      reporter: this.#reporter,
      figures: this.figures,
      workforce: this.#workforce,
      queued: () => this.#allocator?.callQueued(),
    });
    this.createdAtMs = clock.wallMs();
    if (options.dynamicAllocator && !options.debug)
      this.#allocator = new DynamicAllocator(options.dynamicAllocator, clock, {
        queueLength: () => this.#calls.queueLength,
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
    return this.#calls.queueLength;
  }

  /** Calls that wait or run. */
  get callsOpen(): number {
    return this.#calls.open;
  }

  // Calls.

  /** Takes a call. A refusal reaches the sink too, before this returns. */
  dispatch(options: CallOptions, sink: CallSink): Call {
    return this.#calls.take(options, sink, this.#refusal());
  }

  /** Why the pool would refuse a call now; undefined: it would take it. For callers whose request is still on its way. */
  admission(): RrError | undefined {
    const refusal = this.#refusal();
    if (refusal) this.figures.countFailure(refusal.reason);
    return refusal;
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
      queueLength: this.#calls.queueLength,
      queueFull: this.#calls.queueFull,
    });
  }

  /** Who has the calls says what the responses were like: the pool does not look into them. */
  countResponses(counts: ResponseCounts): void {
    for (const [statusClass, count] of Object.entries(counts))
      if (count > 0) this.figures.countResponses(statusClass, count);
    this.#responses.counted(counts);
  }

  // What the workforce tells.

  workerAvailable(worker: Worker): boolean {
    return this.#calls.offer(worker);
  }

  conditionChanged(): void {
    if (rulesOf(this.#state).followsWorkers) this.#moveTo(this.#workforce.condition);
  }

  workforceFailing(error: RrError): void {
    this.conditionChanged();
    this.#calls.failQueued(crashLoop(this.name, error, 0));
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
    // What makes the pool refuse calls holds for those that wait, too.
    this.#calls.failQueued(this.#unreportedRefusal()!);
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
  whenIdle(deadline: Deadline): Promise<void> {
    return this.#calls.whenIdle(deadline);
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
    this.#allocator?.close();
    this.#calls.close(this.#unreportedRefusal()!);
    await Promise.all([deadline.race(operationsEnded), this.#workforce.close(deadline)]);
  }

  #moveTo(state: PoolState): void {
    this.#state = poolTransition(this.#state, state);
  }
}
