import { availableParallelism } from "node:os";
import type { Clock } from "../clock.ts";
import type { PoolOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { EventLog } from "../events/event-log.ts";
import { goridge1 } from "../goridge/goridge1.ts";
import { goridge3 } from "../goridge/goridge3.ts";
import type { Log } from "../log.ts";
import type { ExitStatus } from "../process/child-process.ts";
import { readMemoryBytes } from "../process/resources.ts";
import { SocketListener } from "../relay/socket-listener.ts";
import { describeExit } from "../worker/exit-explanation.ts";
import { Worker, type WorkerEnvironment, type WorkerObserver } from "../worker/worker.ts";
import { Call, type CallOptions, type CallOwner, type CallSink } from "./call.ts";
import { ConcurrencyLimit } from "./concurrency-limit.ts";
import { DynamicAllocator } from "./dynamic-allocator.ts";
import { PoolFigures } from "./pool-figures.ts";
import { FAILURES_TO_FAILING, respawnDelayMs, YOUNG_WORKER_MS } from "./respawn.ts";
import { executionsMaxWithJitter, nearsExecutionsMax, replacementReason } from "./supervision.ts";
import { WaitQueue } from "./wait-queue.ts";

export type PoolState = "booting" | "serving" | "paused" | "failing" | "draining" | "stopped";

export interface PoolDependencies {
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventLog;
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
}

/** A worker's memory is looked at after a call, but not more often than this. */
const MEMORY_READ_INTERVAL_MS = 200;
/** Times that a call may be handed on because its worker asked to be replaced. */
const RERUNS_MAX = 10;
/** Events that a flood of calls would cause are recorded once in this time. */
const FLOOD_EVENT_INTERVAL_MS = 1_000;

/**
 * A pool of workers: calls find a worker or wait for one; workers that end are replaced; resets, scaling and limits
 * boot successors before they retire anybody.
 *
 * The number of workers is kept by one rule, `#maintain`: what is missing is booted, what is too much is retired, those
 * that are on their way out first.
 */
export class Pool implements WorkerObserver, CallOwner {
  readonly options: PoolOptions;
  readonly figures = new PoolFigures();
  readonly createdAtMs: number;

  readonly #dependencies: PoolDependencies;
  readonly #log: Log;
  #environment!: WorkerEnvironment;
  readonly #queue: WaitQueue<Call>;
  /** All admitted workers that have not exited. */
  readonly #workers = new Map<number, Worker>();
  /** Longest idle first: that spreads calls, and gives a worker that says too much the time to be found out. */
  readonly #ready = new Set<Worker>();
  /** Workers that serve until their successor is ready, and why they go. */
  readonly #outgoing = new Map<Worker, string>();
  readonly #bootLimit = new ConcurrencyLimit(Math.max(2, availableParallelism() * 2));
  readonly #allocator: DynamicAllocator | undefined;
  #wanted: number;
  #generation = 1;
  /** Boots that `#maintain` has under way. */
  #maintenanceBoots = 0;
  /** All boots under way. */
  #boots = 0;
  #bootFailures = 0;
  #lastBootError: RrError | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #retryAtMs = 0;
  #queueTimer: NodeJS.Timeout | undefined;
  #superviseTimer: NodeJS.Timeout | undefined;
  #debugCalls = 0;
  #lifecycle: "starting" | "running" | "draining" | "stopped" = "starting";
  #paused = false;
  #failing = false;
  #callsRunning = 0;
  /** Resets, scaling and the like run one after another. */
  #operation: Promise<unknown> = Promise.resolve();
  readonly #stopBoots = new AbortController();
  readonly #idleWaiters = new Set<() => void>();
  readonly #floodEventAtMs = new Map<string, number>();

  constructor(options: PoolOptions, dependencies: PoolDependencies) {
    this.options = options;
    this.#dependencies = dependencies;
    this.#log = dependencies.log.child({ channel: "server", pool: options.name });
    this.#queue = new WaitQueue(options.maxQueueLength);
    this.#wanted = options.debug ? 0 : options.numWorkers;
    this.createdAtMs = dependencies.clock.wallMs();
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
    if (this.#lifecycle === "stopped") return "stopped";
    if (this.#lifecycle === "draining") return "draining";
    if (this.#paused) return "paused";
    if (this.options.debug) return this.#lifecycle === "starting" ? "booting" : "serving";
    if (this.#liveCount() > 0) return "serving";
    return this.#failing ? "failing" : "booting";
  }

  get stateReason(): string {
    return this.#failing ? (this.#lastBootError?.message ?? "") : "";
  }

  get generation(): number {
    return this.#generation;
  }

  get workersWanted(): number {
    return this.#wanted + (this.#allocator?.extraWorkers ?? 0);
  }

  get workersBooting(): number {
    return this.#boots;
  }

  get queueLength(): number {
    return this.#queue.length;
  }

  /** Calls that wait or run. */
  get callsOpen(): number {
    return this.#queue.length + this.#callsRunning;
  }

  get workers(): readonly Worker[] {
    return [...this.#workers.values()];
  }

  worker(pid: number): Worker | undefined {
    return this.#workers.get(pid);
  }

  // Calls.

  /** Takes a call. Refusals reach the sink too, before this returns. */
  dispatch(options: CallOptions, sink: CallSink): Call {
    const nowMs = this.#dependencies.clock.monotonicMs();
    const call = new Call(options, sink, this, nowMs);
    const refusal = this.#refusal(options);
    if (refusal) {
      this.figures.countFailure(refusal.reason);
      // It was never counted as running.
      this.#callsRunning++;
      call.fail(refusal);
      return call;
    }
    const worker = this.#takeReady();
    if (worker) {
      this.#callsRunning++;
      this.#run(call, worker);
    } else if (this.options.debug && this.#debugCalls < this.options.numWorkersMax) {
      this.#callsRunning++;
      void this.#runInFreshWorker(call);
    } else this.#enqueue(call, nowMs);
    return call;
  }

  #refusal({ request }: CallOptions): RrError | undefined {
    const { name } = this;
    const metadata = { pool: name };
    if (request.context.length === 0 && request.body.length === 0)
      return new RrError("INVALID_REQUEST", "the payload is empty: give it a context or a body", { metadata });
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
    if (this.#failing) return this.#crashLoopError();
    if (this.#ready.size === 0 && this.#queue.full) {
      this.#floodEvent(
        "pool.queue_full",
        "QUEUE_FULL",
        `${this.#queue.length} calls wait in pool "${name}": further ones are refused`,
      );
      return new RrError(
        "QUEUE_FULL",
        `${this.#queue.length} calls wait for a worker of pool "${name}", more are not allowed (pool.max_queue_size)`,
        {
          metadata,
          retryAfterMs: 1000,
        },
      );
    }
    return undefined;
  }

  #crashLoopError(): RrError {
    const retryAfterMs = Math.max(0, this.#retryAtMs - this.#dependencies.clock.monotonicMs());
    return new RrError(
      "CRASH_LOOP",
      `pool "${this.name}" has no workers because they fail to boot: ${this.#lastBootError?.message ?? "unknown"}`,
      {
        metadata: { pool: this.name },
        retryAfterMs,
      },
    );
  }

  #takeReady(): Worker | undefined {
    const first = this.#ready.values().next();
    if (first.done) return undefined;
    this.#ready.delete(first.value);
    return first.value;
  }

  #run(call: Call, worker: Worker): void {
    const nowMs = this.#dependencies.clock.monotonicMs();
    if (call.attempts === 0) this.figures.queueTime.record(nowMs - call.enqueuedAtMs, nowMs);
    call.attempts++;
    call.startedAtMs = nowMs;
    call.worker = worker;
    if (nearsExecutionsMax(worker.executions, worker.executionsMax)) this.#replace(worker, "max_jobs");
    worker.execute(call);
  }

  #enqueue(call: Call, nowMs: number): void {
    this.#queue.push(call, nowMs + this.options.queueWaitMs);
    this.#queueTimer ??= setTimeout(() => this.#expireQueue(), this.options.queueWaitMs);
    this.#allocator?.callQueued();
  }

  #expireQueue(): void {
    this.#queueTimer = undefined;
    const nowMs = this.#dependencies.clock.monotonicMs();
    const expired = this.#queue.takeExpired(nowMs);
    if (expired.length > 0)
      this.#floodEvent(
        "pool.queue_timeout",
        "QUEUE_WAIT_EXCEEDED",
        `${expired.length} calls waited ${this.options.queueWaitMs} ms for a worker of pool "${this.name}"`,
      );
    for (const call of expired) {
      this.#callsRunning++;
      call.fail(
        new RrError(
          "QUEUE_WAIT_EXCEEDED",
          `no worker of pool "${this.name}" became free within ${this.options.queueWaitMs} ms (pool.allocate_timeout)`,
          {
            metadata: { pool: this.name },
            retryAfterMs: 1000,
          },
        ),
      );
    }
    const nextMs = this.#queue.nextDeadlineMs;
    if (nextMs !== undefined) this.#queueTimer = setTimeout(() => this.#expireQueue(), Math.max(1, nextMs - nowMs));
  }

  /** In debug mode every call gets a worker of its own, so that changed code shows at once. */
  async #runInFreshWorker(call: Call): Promise<void> {
    this.#debugCalls++;
    try {
      const worker = await this.#boot(this.#generation);
      this.#workers.set(worker.pid, worker);
      if (call.ended) void worker.stop("debug");
      else this.#run(call, worker);
      await worker.exited;
    } catch (thrown) {
      call.fail(RrError.from(thrown));
    } finally {
      this.#debugCalls--;
      const next = this.#queue.shift();
      if (next) {
        this.#callsRunning++;
        void this.#runInFreshWorker(next);
      }
    }
  }

  // What calls tell.

  callEnded(call: Call, error: RrError | undefined): void {
    const nowMs = this.#dependencies.clock.monotonicMs();
    if (call.worker) {
      this.figures.executions++;
      this.figures.execTime.record(nowMs - call.startedAtMs, nowMs);
    }
    if (error && call.worker) this.figures.countFailure(error.reason);
    this.#callLeft();
  }

  callFailed(call: Call, error: RrError, answered: boolean): void {
    const died = error.reason === "WORKER_EXITED" && error.metadata.exit_code !== "255";
    if (died && call.idempotent && !answered && call.attempts < 2 && this.#lifecycle !== "stopped") {
      this.figures.retries++;
      this.#dependencies.events.record("call.retried", {
        pool: this.name,
        pid: call.worker?.pid ?? 0,
        reason: error.reason,
        message: `a call is tried on another worker: ${error.message}`,
        attributes: { request_id: call.requestId },
      });
      this.#again(call);
      return;
    }
    if (error.reason === "WORKER_ERROR") {
      this.#log.warn(
        { pid: call.worker?.pid, request_id: call.requestId || undefined },
        `the application answered with an error: ${error.message}`,
      );
      this.#dependencies.events.record("worker.error", {
        pool: this.name,
        pid: call.worker?.pid ?? 0,
        reason: error.reason,
        message: error.message,
        attributes: { request_id: call.requestId },
      });
    }
    call.fail(error);
  }

  callWantsRerun(call: Call): void {
    if (call.attempts <= RERUNS_MAX) return this.#again(call);
    call.fail(
      new RrError(
        "WORKER_EXITED",
        `${call.attempts} workers of pool "${this.name}" in a row asked to be replaced instead of answering`,
        {
          metadata: { pool: this.name },
        },
      ),
    );
  }

  callCancelled(call: Call): void {
    this.figures.countFailure("CANCELLED");
    if (this.#queue.remove(call)) return this.#wakeIdleWaiters();
    this.#callLeft();
  }

  #again(call: Call): void {
    call.worker = undefined;
    const worker = this.#takeReady();
    if (worker) this.#run(call, worker);
    else if (this.options.debug) void this.#runInFreshWorker(call);
    else {
      this.#callsRunning--;
      this.#enqueue(call, this.#dependencies.clock.monotonicMs());
    }
  }

  #callLeft(): void {
    this.#callsRunning--;
    this.#wakeIdleWaiters();
  }

  #wakeIdleWaiters(): void {
    if (this.#idleWaiters.size === 0 || this.callsOpen > 0) return;
    for (const wake of this.#idleWaiters) wake();
  }

  // What workers tell.

  becameIdle(worker: Worker): void {
    if (this.options.debug) return void worker.stop("debug");
    const nowMs = this.#dependencies.clock.monotonicMs();
    if (worker.leaving !== "") return this.#release(worker, worker.leaving);
    if (worker.executionsMax > 0 && worker.executions >= worker.executionsMax) return this.#release(worker, "max_jobs");
    if (this.#supervised) this.#superviseAfterCall(worker, nowMs);
    if (worker.leaving !== "") return;
    const call = this.#queue.shift();
    if (!call) {
      this.#ready.add(worker);
      return;
    }
    this.#callsRunning++;
    this.#run(call, worker);
  }

  exited(worker: Worker, exit: ExitStatus): void {
    this.#workers.delete(worker.pid);
    this.#ready.delete(worker);
    this.#outgoing.delete(worker);
    this.#reportExit(worker, exit);
    const young =
      worker.executions === 0 &&
      this.#dependencies.clock.monotonicMs() - worker.startedAtMs - worker.bootTimeMs < YOUNG_WORKER_MS;
    if (young && worker.leaving === "") this.#bootFailed(worker.exitError(exit));
    this.#maintain();
  }

  strayOutput(worker: Worker, text: string): void {
    this.#log.warn({ pid: worker.pid, request_id: worker.requestId || undefined }, `text between answers: ${text}`);
    this.#dependencies.events.record("worker.stray_output", {
      pool: this.name,
      pid: worker.pid,
      reason: "STRAY_OUTPUT",
      message: `worker ${worker.pid} printed to the channel of the protocol: ${text.slice(0, 200)}`,
      attributes: { request_id: worker.requestId },
    });
  }

  surplusAnswer(worker: Worker, text: string, keep: boolean): void {
    const consequence = keep ? "it was dropped" : "the worker is replaced";
    const message = `worker ${worker.pid} answered although nothing was asked; ${consequence}: ${text.slice(0, 200)}`;
    this.#log.warn({ pid: worker.pid }, message);
    this.#dependencies.events.record("worker.surplus_answer", {
      pool: this.name,
      pid: worker.pid,
      reason: "PROTOCOL_VIOLATION",
      message,
    });
  }

  #reportExit(worker: Worker, exit: ExitStatus): void {
    const fields = { pid: worker.pid, exit_code: exit.code ?? undefined, signal: exit.signal ?? undefined };
    const attributes = {
      exit_code: exit.code ?? undefined,
      signal: exit.signal ?? undefined,
      executions: worker.executions,
      generation: worker.generation,
    };
    const asked = worker.state === "exited" && worker.leaving !== "" && exit.signal === null;
    const killed = worker.leaving !== "" && !asked;
    const error = worker.exitError(exit);
    const reason = worker.leaving || error.reason;
    this.figures.countEnded(reason);
    const common = { pool: this.name, pid: worker.pid, reason, attributes };
    if (asked) {
      this.#log.debug(fields, `worker ${worker.pid} ended: ${reason}`);
      this.#dependencies.events.record("worker.stopped", {
        ...common,
        message: `worker ${worker.pid} ended: ${reason}`,
      });
    } else if (killed) {
      this.#log.warn({ ...fields, reason }, error.message);
      this.#dependencies.events.record("worker.killed", { ...common, message: error.message });
    } else {
      const message =
        worker.requestId === ""
          ? `worker ${worker.pid} of pool "${this.name}" ended by itself with ${describeExit(exit)}`
          : error.message;
      this.#log.error({ ...fields, reason }, message);
      this.#dependencies.events.record("worker.exited", { ...common, message });
    }
  }

  // The number of workers.

  #liveCount(): number {
    let count = 0;
    for (const worker of this.#workers.values()) if (worker.leaving === "") count++;
    return count;
  }

  /** Boots what is missing and retires what is too much. */
  #maintain(): void {
    if (this.options.debug || this.#lifecycle !== "running") return;
    const live = this.#liveCount();
    const wanted = this.workersWanted;
    for (let surplus = live - wanted - this.#pendingReplacements(); surplus > 0; surplus--) this.#retireOne();
    if (this.#retryTimer) return;
    const missing = wanted + this.#outgoing.size - live - this.#maintenanceBoots;
    if (missing <= 0) return;
    const delayMs = respawnDelayMs(this.#bootFailures);
    if (delayMs === 0) for (let count = 0; count < missing; count++) void this.#bootForMaintenance();
    else {
      this.#retryAtMs = this.#dependencies.clock.monotonicMs() + delayMs;
      this.#retryTimer = setTimeout(() => {
        this.#retryTimer = undefined;
        // One at a time while it fails: if this one boots, the others follow.
        if (this.#maintenanceBoots === 0) void this.#bootForMaintenance();
      }, delayMs);
    }
  }

  /** Workers that may exist on top because they wait for their successor, which is still booting. */
  #pendingReplacements(): number {
    return Math.min(this.#outgoing.size, this.#maintenanceBoots);
  }

  async #bootForMaintenance(): Promise<void> {
    this.#maintenanceBoots++;
    try {
      const worker = await this.#boot(this.#generation);
      this.#maintenanceBoots--;
      if (this.#lifecycle !== "running" || worker.generation !== this.#generation) void worker.stop("outdated");
      else if (worker.state === "ready") {
        this.#bootSucceeded();
        this.#admit(worker);
      }
    } catch (thrown) {
      this.#maintenanceBoots--;
      const error = RrError.from(thrown);
      if (error.reason === "CANCELLED") return;
      // The worker that was to be replaced goes on; the supervisor will ask again.
      for (const worker of this.#outgoing.keys()) {
        this.#outgoing.delete(worker);
        break;
      }
      this.#bootFailed(error);
    }
    this.#maintain();
  }

  /** Boots a worker without admitting it. */
  async #boot(generation: number): Promise<Worker> {
    this.#boots++;
    try {
      return await this.#bootLimit.run(async () => {
        const executionsMax = executionsMaxWithJitter(this.options.maxJobs, Math.random());
        const worker = await Worker.boot(
          this.#environment,
          this,
          { generation, executionsMax },
          this.#stopBoots.signal,
        );
        this.figures.workersStarted++;
        this.figures.bootTime.record(worker.bootTimeMs, this.#dependencies.clock.monotonicMs());
        return worker;
      });
    } catch (thrown) {
      const error = RrError.from(thrown);
      if (error.reason !== "CANCELLED") {
        this.figures.countFailure(error.reason);
        this.#log.error({ reason: error.reason }, error.message);
        this.#dependencies.events.record("worker.boot_failed", {
          pool: this.name,
          reason: error.reason,
          message: error.message,
        });
      }
      throw error;
    } finally {
      this.#boots--;
    }
  }

  #bootFailed(error: RrError): void {
    this.#bootFailures++;
    this.#lastBootError = error;
    if (this.#failing || this.#bootFailures < FAILURES_TO_FAILING || this.#liveCount() > 0) return;
    this.#failing = true;
    this.#dependencies.events.record("pool.failing", { pool: this.name, reason: "CRASH_LOOP", message: error.message });
    for (const call of this.#queue.takeAll()) {
      this.#callsRunning++;
      call.fail(this.#crashLoopError());
    }
  }

  #bootSucceeded(): void {
    this.#bootFailures = 0;
    if (!this.#failing) return;
    this.#failing = false;
    this.#dependencies.events.record("pool.recovered", {
      pool: this.name,
      message: `pool "${this.name}" has workers again`,
    });
  }

  #admit(worker: Worker): void {
    this.#workers.set(worker.pid, worker);
    this.#log.debug({ pid: worker.pid, boot_ms: Math.round(worker.bootTimeMs) }, `worker ${worker.pid} is ready`);
    this.#dependencies.events.record("worker.ready", {
      pool: this.name,
      pid: worker.pid,
      message: `worker ${worker.pid} is ready`,
      attributes: { generation: worker.generation, boot_ms: Math.round(worker.bootTimeMs) },
    });
    this.becameIdle(worker);
  }

  /** Retires the worker that is missed least: one on its way out, an idle one, any. */
  #retireOne(): void {
    const [outgoing] = this.#outgoing;
    if (outgoing) return this.#retire(outgoing[0], outgoing[1]);
    const idle = this.#ready.values().next();
    if (!idle.done) return this.#retire(idle.value, "scale");
    for (const worker of this.#workers.values()) if (worker.leaving === "") return this.#retire(worker, "scale");
  }

  /** Lets a worker end after its call, if it runs one. */
  #retire(worker: Worker, reason: string): void {
    this.#outgoing.delete(worker);
    this.#ready.delete(worker);
    worker.leaving = reason;
    if (worker.state === "ready") void worker.stop(reason);
  }

  /** Ends a worker that has just become idle. */
  #release(worker: Worker, reason: string): void {
    this.#retire(worker, reason);
    this.#maintain();
  }

  /** Boots a successor; the worker goes when that is ready. */
  #replace(worker: Worker, reason: string): void {
    if (worker.leaving !== "" || this.#outgoing.has(worker)) return;
    this.#outgoing.set(worker, reason);
    this.#maintain();
  }

  #allocatorChanged(extraWorkers: number, grew: boolean): void {
    const message = `pool "${this.name}" has ${extraWorkers} extra workers`;
    this.#log.info({ extra_workers: extraWorkers }, message);
    this.#dependencies.events.record(grew ? "pool.grown" : "pool.shrunk", {
      pool: this.name,
      message,
      attributes: { extra_workers: extraWorkers },
    });
    this.#maintain();
  }

  // Supervision.

  get #supervised(): boolean {
    const { ttlMs, workerMemoryBytesMax } = this.options.supervisor;
    return ttlMs > 0 || workerMemoryBytesMax > 0;
  }

  #superviseAfterCall(worker: Worker, nowMs: number): void {
    if (this.options.supervisor.workerMemoryBytesMax > 0 && nowMs - worker.memoryReadAtMs >= MEMORY_READ_INTERVAL_MS) {
      worker.memoryBytes = readMemoryBytes(worker.pid);
      worker.memoryReadAtMs = nowMs;
    }
    this.#superviseWorker(worker, nowMs, undefined);
  }

  #superviseWorker(worker: Worker, nowMs: number, idleMs: number | undefined): void {
    const snapshot = { ageMs: nowMs - worker.startedAtMs, idleMs, memoryBytes: worker.memoryBytes };
    const reason = replacementReason(snapshot, this.options.supervisor);
    if (!reason || worker.leaving !== "" || this.#outgoing.has(worker)) return;
    this.#log.info(
      { pid: worker.pid, reason, memory_bytes: worker.memoryBytes || undefined },
      `worker ${worker.pid} reached its limit (${reason}) and will be replaced`,
    );
    this.#replace(worker, reason);
  }

  #supervise(): void {
    const nowMs = this.#dependencies.clock.monotonicMs();
    for (const worker of this.#workers.values()) {
      worker.memoryBytes = readMemoryBytes(worker.pid);
      worker.memoryReadAtMs = nowMs;
      const idle = worker.state === "ready" && worker.lastUsedAtMs !== undefined;
      this.#superviseWorker(worker, nowMs, idle ? nowMs - worker.lastUsedAtMs! : undefined);
    }
  }

  // Operations.

  /** Boots the first workers. Rejects with the reason of the first one that fails; nothing runs then. */
  async start(): Promise<void> {
    const { options } = this;
    const protocol = options.protocol === "goridge1" ? goridge1 : goridge3;
    const socketListener =
      options.relay.kind === "pipes" ? undefined : await SocketListener.open(options.relay, protocol, this.#log);
    const { clock, baseEnv } = this.#dependencies;
    this.#environment = { options, protocol, socketListener, clock, baseEnv, log: this.#log };
    const workers = await this.#bootMany(this.#wanted, this.#generation);
    this.#lifecycle = "running";
    for (const worker of workers) this.#admit(worker);
    this.#superviseTimer = setInterval(() => this.#supervise(), options.supervisor.watchTickMs);
    this.#superviseTimer.unref();
    this.#dependencies.events.record("pool.started", {
      pool: this.name,
      message: `pool "${this.name}" serves with ${workers.length} workers`,
    });
    this.#maintain();
  }

  /** All or nothing: if one boot fails the others are ended and its error is thrown. */
  async #bootMany(count: number, generation: number): Promise<Worker[]> {
    const boots = await Promise.allSettled(Array.from({ length: count }, () => this.#boot(generation)));
    const workers = boots.flatMap((boot) => (boot.status === "fulfilled" ? [boot.value] : []));
    const failed = boots.find((boot) => boot.status === "rejected");
    if (!failed) return workers;
    await Promise.all(workers.map((worker) => worker.stop("boot_failed")));
    throw failed.reason;
  }

  /** Replaces all workers. Returns how long the new ones took. The old ones serve on if it fails. */
  reset(): Promise<{ bootTimeMs: number }> {
    return this.#exclusive(async () => {
      const startedAtMs = this.#dependencies.clock.monotonicMs();
      const generation = this.#generation + 1;
      try {
        const successors = await this.#bootMany(this.workersWanted, generation);
        const retired = [...this.#workers.values()];
        this.#generation = generation;
        this.#bootSucceeded();
        for (const worker of successors) if (worker.state === "ready") this.#admit(worker);
        for (const worker of retired) this.#retire(worker, "reset");
        this.#killLater(retired, this.options.resetTimeoutMs, "reset_timeout");
        this.#maintain();
      } catch (thrown) {
        const error = RrError.from(thrown);
        this.#dependencies.events.record("pool.reset_failed", {
          pool: this.name,
          reason: error.reason,
          message: error.message,
        });
        throw error;
      }
      const bootTimeMs = this.#dependencies.clock.monotonicMs() - startedAtMs;
      this.#log.info({ generation, boot_ms: Math.round(bootTimeMs) }, `pool "${this.name}" was reset`);
      this.#dependencies.events.record("pool.reset", {
        pool: this.name,
        message: `generation ${generation} of pool "${this.name}" serves`,
        attributes: { generation, boot_ms: Math.round(bootTimeMs) },
      });
      return { bootTimeMs };
    });
  }

  /** Sets the number of workers. Throws INVALID_REQUEST with the allowed range. */
  scale(workers: number): Promise<void> {
    const min = this.#paused ? 0 : 1;
    const max = this.options.numWorkersMax;
    if (workers < min || workers > max) {
      const why =
        workers === 0
          ? `0 is only allowed for a paused pool ("rrctl pause ${this.name}")`
          : `expected ${min} to ${max}`;
      throw new RrError("INVALID_REQUEST", `pool "${this.name}" cannot have ${workers} workers: ${why}`, {
        metadata: { pool: this.name },
        violations: [{ field: "workers", description: why }],
      });
    }
    if (this.options.debug)
      throw new RrError(
        "FAILED_PRECONDITION",
        `pool "${this.name}" is in debug mode: every call gets a worker of its own, there is nothing to scale`,
      );
    return this.#exclusive(async () => {
      const before = this.#wanted;
      try {
        // While the pool fails, `#maintain` boots with its pauses; a growth on top would only fail as well.
        if (workers > before)
          for (const worker of await this.#bootMany(workers - before, this.#generation)) this.#admit(worker);
        this.#wanted = workers;
      } catch (thrown) {
        const error = RrError.from(thrown);
        this.#dependencies.events.record("pool.scale_failed", {
          pool: this.name,
          reason: error.reason,
          message: error.message,
        });
        throw error;
      }
      this.#maintain();
      if (workers !== before) {
        const message = `pool "${this.name}" was scaled from ${before} to ${workers} workers`;
        this.#log.info({ from: before, to: workers }, message);
        this.#dependencies.events.record("pool.scaled", {
          pool: this.name,
          message,
          attributes: { from: before, to: workers },
        });
      }
    });
  }

  addWorker(): Promise<void> {
    return this.scale(this.#wanted + 1);
  }

  /** Removes a worker after its call: the given one, or the one that is missed least. Never the last. */
  removeWorker(worker: Worker | undefined): Promise<void> {
    if (this.#wanted <= 1)
      throw new RrError(
        "FAILED_PRECONDITION",
        `pool "${this.name}" has only one worker, and the last one is not removed: pause the pool instead`,
        {
          metadata: { pool: this.name },
        },
      );
    if (worker && worker.leaving === "") {
      this.#wanted--;
      this.#retire(worker, "scale");
      return Promise.resolve();
    }
    return this.scale(this.#wanted - 1);
  }

  /** Boots a successor, then ends the worker after its call. */
  restartWorker(worker: Worker): Promise<Worker> {
    return this.#exclusive(async () => {
      const [successor] = await this.#bootMany(1, this.#generation);
      this.#admit(successor!);
      this.#retire(worker, "restart");
      this.#maintain();
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
    this.#dependencies.events.record("pool.paused", { pool: this.name, message: `pool "${this.name}" was paused` });
    for (const call of this.#queue.takeAll()) {
      this.#callsRunning++;
      call.fail(this.#refusal(call)!);
    }
  }

  /** A pool that was scaled to 0 comes back with its configured number. */
  async resume(): Promise<void> {
    if (!this.#paused) return;
    if (this.#wanted === 0 && !this.options.debug) await this.scale(Math.max(1, this.options.numWorkers));
    this.#paused = false;
    this.#dependencies.events.record("pool.resumed", {
      pool: this.name,
      message: `pool "${this.name}" takes calls again`,
    });
  }

  /** Takes nothing new; what waits and runs goes on. */
  drain(): void {
    if (this.#lifecycle === "running") this.#lifecycle = "draining";
  }

  /** Settles when no call waits or runs, or the time is up. */
  async whenIdle(timeoutMs: number): Promise<void> {
    if (this.callsOpen === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, timeoutMs);
      const waiters = this.#idleWaiters;
      function done() {
        clearTimeout(timer);
        waiters.delete(done);
        resolve();
      }
      waiters.add(done);
    });
  }

  /** Ends everything: waits for running calls, then stops all workers, then kills those that are left. */
  async stop(timeoutMs: number): Promise<void> {
    this.#lifecycle = "draining";
    this.#stopBoots.abort();
    await this.whenIdle(Math.min(timeoutMs, this.options.destroyTimeoutMs));
    this.#lifecycle = "stopped";
    clearInterval(this.#superviseTimer);
    clearTimeout(this.#queueTimer);
    clearTimeout(this.#retryTimer);
    this.#allocator?.close();
    for (const call of this.#queue.takeAll()) {
      this.#callsRunning++;
      call.fail(this.#refusal(call)!);
    }
    await Promise.all(this.workers.map((worker) => worker.stop("stop")));
    this.#environment?.socketListener?.close();
  }

  #killLater(workers: readonly Worker[], delayMs: number, reason: string): void {
    if (workers.length === 0) return;
    const timer = setTimeout(() => {
      for (const worker of workers)
        worker.kill(
          new RrError(
            "WORKER_EXITED",
            `worker ${worker.pid} of pool "${this.name}" was killed: its call outlasted the reset by ${delayMs} ms (${reason})`,
          ),
        );
    }, delayMs);
    timer.unref();
    void Promise.all(workers.map((worker) => worker.exited)).then(() => clearTimeout(timer));
  }

  #exclusive<Result>(operation: () => Promise<Result>): Promise<Result> {
    const run = this.#operation.then(() => {
      if (this.#lifecycle !== "running")
        throw new RrError("DRAINING", `pool "${this.name}" is ${this.state}: nothing can be changed now`);
      return operation();
    });
    this.#operation = run.catch(() => {});
    return run;
  }

  #floodEvent(type: "pool.queue_full" | "pool.queue_timeout", reason: string, message: string): void {
    const nowMs = this.#dependencies.clock.monotonicMs();
    if (nowMs - (this.#floodEventAtMs.get(type) ?? Number.NEGATIVE_INFINITY) < FLOOD_EVENT_INTERVAL_MS) return;
    this.#floodEventAtMs.set(type, nowMs);
    this.#log.warn({ reason }, message);
    this.#dependencies.events.record(type, { pool: this.name, reason, message });
  }
}
