import type { Deadline } from "../async/deadline.ts";
import { Waiters } from "../async/waiters.ts";
import type { Clock } from "../clock.ts";
import type { PoolOptions } from "../config/options.ts";
import { type ErrorReason, RrError } from "../errors.ts";
import type { Worker } from "../worker/worker.ts";
import { Call, type CallOptions, type CallOwner, type CallSink } from "./call.ts";
import { CallQueue } from "./call-queue.ts";
import type { PoolFigures } from "./pool-figures.ts";
import type { PoolReporter } from "./pool-reporter.ts";
import type { Workforce } from "./workforce.ts";

/** Workers that may begin a call, one after the other. */
const ATTEMPTS_MAX = 2;
/** Times that a call may be handed on because its worker asked to be replaced. */
const RERUNS_MAX = 10;
/** What PHP ends with after an uncaught exception or fatal error: the application's own doing, and it would do it again. */
const PHP_FATAL_EXIT_CODE = "255";

export interface CallRunnerDependencies {
  readonly options: PoolOptions;
  readonly clock: Clock;
  readonly reporter: PoolReporter;
  readonly figures: PoolFigures;
  readonly workforce: Workforce;
  /** A call waits for a worker. */
  readonly queued: () => void;
}

/** The calls that a pool has taken: each waits, runs on a worker, perhaps on another one, and ends. */
export class CallRunner implements CallOwner {
  readonly #options: PoolOptions;
  readonly #clock: Clock;
  readonly #reporter: PoolReporter;
  readonly #figures: PoolFigures;
  readonly #workforce: Workforce;
  readonly #queued: () => void;
  readonly #queue: CallQueue<Call>;
  /** Calls that were taken and do not wait in the queue. */
  #running = 0;
  #debugWorkers = 0;
  readonly #idleWaiters = new Waiters();
  /** Why nothing is begun any more. */
  #closed: RrError | undefined;
  readonly #debugBoots = new AbortController();

  constructor({ options, clock, reporter, figures, workforce, queued }: CallRunnerDependencies) {
    this.#options = options;
    this.#clock = clock;
    this.#reporter = reporter;
    this.#figures = figures;
    this.#workforce = workforce;
    this.#queued = queued;
    this.#queue = new CallQueue({
      lengthMax: options.maxQueueLength,
      waitMs: options.queueWaitMs,
      clock,
      expired: (calls) => this.#waitedTooLong(calls),
    });
  }

  get queueLength(): number {
    return this.#queue.length;
  }

  get queueFull(): boolean {
    return this.#queue.full;
  }

  /** Calls that wait or run. */
  get open(): number {
    return this.#queue.length + this.#running;
  }

  /** Takes a call, or fails it with the refusal before this returns. */
  take(options: CallOptions, sink: CallSink, refusal: RrError | undefined): Call {
    const call = new Call(options, sink, this, this.#clock.monotonicMs());
    const error = refusal ?? this.#emptyPayload(call);
    if (error) {
      this.#figures.countFailure(error.reason);
      this.#failUnqueued(call, error);
      return call;
    }
    this.#limit(call, options.timeoutMs ?? 0);
    this.#place(call);
    return call;
  }

  /** Gives a worker the call that has waited longest. False: none waits. */
  offer(worker: Worker): boolean {
    const call = this.#queue.shift();
    if (!call) return false;
    this.#running++;
    this.#run(call, worker);
    return true;
  }

  failQueued(error: RrError): void {
    for (const call of this.#queue.takeAll()) {
      this.#figures.countFailure(error.reason);
      this.#failUnqueued(call, error);
    }
  }

  /** Settles when no call waits or runs, or when the moment has come. */
  async whenIdle(deadline: Deadline): Promise<void> {
    if (this.open === 0 || deadline.passed) return;
    const idle = new Promise<void>((resolve) => this.#idleWaiters.add(resolve));
    await deadline.race(idle);
  }

  /** Begins nothing any more: what waits fails with this error, and so does what would have to begin again. */
  close(error: RrError): void {
    this.#closed = error;
    this.#debugBoots.abort();
    this.#queue.close();
    this.failQueued(error);
  }

  #emptyPayload({ request }: Call): RrError | undefined {
    if (request.context.length > 0 || request.body.length > 0 || request.source) return undefined;
    const metadata = { pool: this.#options.name };
    return new RrError("INVALID_REQUEST", "the payload is empty: give it a context or a body", { metadata });
  }

  #limit(call: Call, timeoutMs: number): void {
    if (timeoutMs === 0) return;
    const { name } = this.#options;
    const message = `the call to pool "${name}" took longer than the ${timeoutMs} ms its caller gave it`;
    const expire = () =>
      call.expire(new RrError("DEADLINE_EXCEEDED", message, { metadata: { pool: name, limit_ms: timeoutMs } }));
    call.limitedBy(this.#clock.after(timeoutMs, expire));
  }

  /** Gives a call to a worker, or lets it wait for one. */
  #place(call: Call): void {
    const worker = this.#workforce.takeReady();
    if (worker) {
      this.#running++;
      this.#run(call, worker);
    } else if (this.#options.debug && this.#debugWorkers < this.#options.numWorkersMax) {
      this.#running++;
      void this.#runInFreshWorker(call);
    } else {
      this.#queue.push(call);
      this.#queued();
    }
  }

  #run(call: Call, worker: Worker): void {
    const nowMs = this.#clock.monotonicMs();
    if (call.attempts === 0) this.#figures.queueTime.record(nowMs - call.enqueuedAtMs, nowMs);
    call.runOn(worker, nowMs);
    this.#workforce.aboutToExecute(worker);
    worker.execute(call);
  }

  /** In debug mode every call gets a worker of its own, so that changed code shows at once. */
  async #runInFreshWorker(call: Call): Promise<void> {
    this.#debugWorkers++;
    try {
      const worker = await this.#workforce.boot(this.#workforce.generation, this.#debugBoots.signal);
      this.#workforce.track(worker);
      if (call.ended) void worker.stop("debug");
      else this.#run(call, worker);
      await worker.exited;
    } catch (thrown) {
      call.fail(this.#closed ?? RrError.from(thrown));
    } finally {
      this.#debugWorkers--;
      const next = this.#queue.shift();
      if (next) this.#place(next);
    }
  }

  #waitedTooLong(calls: readonly Call[]): void {
    const { name, queueWaitMs } = this.#options;
    const message = `no worker of pool "${name}" became free within ${queueWaitMs} ms (pool.allocate_timeout)`;
    this.#reporter.flood("pool.queue_timeout", "QUEUE_WAIT_EXCEEDED", `${message}: ${calls.length} calls gave up`);
    for (const call of calls) {
      this.#figures.countFailure("QUEUE_WAIT_EXCEEDED");
      const metadata = { pool: name };
      this.#failUnqueued(call, new RrError("QUEUE_WAIT_EXCEEDED", message, { metadata, retryAfterMs: 1000 }));
    }
  }

  /** Fails a call that is not in the queue and on no worker. */
  #failUnqueued(call: Call, error: RrError): void {
    this.#running++;
    call.fail(error);
  }

  // What calls tell.

  callEnded(call: Call, error: RrError | undefined): void {
    if (call.worker) {
      const nowMs = this.#clock.monotonicMs();
      this.#figures.executions++;
      this.#figures.execTime.record(nowMs - call.startedAtMs, nowMs);
      if (error) this.#figures.countFailure(error.reason);
    }
    this.#callLeft();
  }

  callFailed(call: Call, error: RrError, answered: boolean): void {
    const died = error.reason === "WORKER_EXITED" && error.metadata.exit_code !== PHP_FATAL_EXIT_CODE;
    if (died && call.idempotent && !answered && call.attempts < Math.min(ATTEMPTS_MAX, call.attemptsMax)) {
      if (this.#closed) return call.fail(this.#cutOff(error));
      this.#figures.retries++;
      this.#reporter.callRetried(call, error);
      call.retried();
      return this.#again(call);
    }
    if (error.reason === "WORKER_ERROR") this.#reporter.applicationError(call, error);
    call.fail(error);
  }

  callWantsRerun(call: Call): void {
    if (this.#closed) return call.fail(this.#cutOff(this.#closed));
    if (call.attempts <= RERUNS_MAX) return this.#again(call);
    const { name } = this.#options;
    const message = `${call.attempts} workers of pool "${name}" in a row asked to be replaced, or closed their channel, instead of answering`;
    call.fail(new RrError("WORKER_EXITED", message, { metadata: { pool: name } }));
  }

  callLeftEarly(call: Call, reason: ErrorReason): void {
    this.#figures.countFailure(reason);
    if (this.#queue.remove(call)) this.#wakeIdleWaiters();
    else this.#callLeft();
  }

  /** Whoever has another server to send the call to may do so. */
  #cutOff(cause: RrError): RrError {
    const { name } = this.#options;
    const message = `pool "${name}" is stopped, and the call took longer than it could wait`;
    return new RrError("DRAINING", message, { cause, metadata: { pool: name }, retryAfterMs: 1000 });
  }

  #again(call: Call): void {
    call.worker = undefined;
    this.#running--;
    this.#place(call);
  }

  #callLeft(): void {
    this.#running--;
    this.#wakeIdleWaiters();
  }

  #wakeIdleWaiters(): void {
    if (this.open === 0) this.#idleWaiters.wakeAll();
  }
}
