import type { Deadline } from "../async/deadline.ts";
import type { Clock, StopTimer } from "../clock.ts";
import type { PoolOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import { goridge1 } from "../goridge/goridge1.ts";
import { goridge3 } from "../goridge/goridge3.ts";
import type { ExitStatus } from "../process/child-process.ts";
import type { PipePlace } from "../process/pipes.ts";
import { describeExit } from "../worker/exit-explanation.ts";
import type { Worker } from "../worker/worker.ts";
import type { WorkerObserver } from "../worker/worker-environment.ts";
import { type OpenWorkerProcesses, openWorkerProcesses } from "../worker/worker-process.ts";
import { BootBackoff } from "./boot-backoff.ts";
import { BootTrouble } from "./boot-trouble.ts";
import type { PoolFigures } from "./pool-figures.ts";
import type { PoolReporter } from "./pool-reporter.ts";
import type { WorkforceCondition } from "./pool-state.ts";
import { FAILURES_TO_FAILING, YOUNG_WORKER_MS } from "./respawn.ts";
import { RetirementDeadlines } from "./retirement-deadlines.ts";
import { nearsExecutionsMax } from "./supervision.ts";
import { WorkerBoots } from "./worker-boots.ts";
import { WorkerSupervisor } from "./worker-supervisor.ts";

/** While no successor boots, a worker goes for want of memory only when it takes so many times what it may. */
const MEMORY_EXCESS_MAX = 2;

export interface WorkforceOwner {
  /** A worker could take a call. True: it got one. */
  workerAvailable(worker: Worker): boolean;
  /** Told after every change that may have made it another one. */
  conditionChanged(): void;
  /** No worker is left and none boots. */
  workforceFailing(error: RrError): void;
}

export interface WorkforceDependencies {
  readonly options: PoolOptions;
  readonly clock: Clock;
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
  /** Where the names of pipes are made; by default among the system's temporary files. */
  readonly pipePlace?: PipePlace | undefined;
  readonly reporter: PoolReporter;
  readonly figures: PoolFigures;
  readonly owner: WorkforceOwner;
  /** What starts its processes; children of this process if undefined. */
  readonly openProcesses: OpenWorkerProcesses | undefined;
}

/**
 * The workers of a pool, and that there are as many as wanted.
 *
 * One rule, `maintain`, keeps the number: what is missing is booted, what is too much is retired, those on their way
 * out first. A worker that reached a limit is only marked as outgoing; that makes one more wanted, and when its
 * successor is ready there is one too much.
 */
export class Workforce implements WorkerObserver {
  readonly #dependencies: WorkforceDependencies;
  /** All that were admitted and have not exited. */
  readonly #workers = new Map<number, Worker>();
  /** Longest idle first: that spreads calls, and gives a worker that says too much the time to be found out. */
  readonly #ready = new Set<Worker>();
  /** Workers that serve until their successor is ready, and why they go. */
  readonly #outgoing = new Map<Worker, string>();
  /** Workers that are about to end by themselves. */
  readonly #unusable = new Set<Worker>();
  /** Those of them that have run all the calls that they may: they get none, but come back if no successor boots. */
  readonly #spent = new Set<Worker>();
  readonly #retirements: RetirementDeadlines;
  readonly #boots: WorkerBoots;
  readonly #stopBoots = new AbortController();
  readonly #backoff: BootBackoff;
  readonly #trouble: BootTrouble;
  readonly #supervisor: WorkerSupervisor;
  /** Workers of which it is not certain yet that they do not die at once. */
  readonly #proofs = new Map<Worker, StopTimer>();
  #state: "closed" | "open" | "closing" = "closed";
  #wanted: number;
  #extra = 0;
  #generation = 1;
  /** Boots that `maintain` has under way. */
  #maintenanceBoots = 0;
  #failing = false;

  constructor(dependencies: WorkforceDependencies) {
    this.#dependencies = dependencies;
    const { options, clock } = dependencies;
    this.#wanted = options.debug ? 0 : options.numWorkers;
    this.#boots = new WorkerBoots({ ...dependencies, observer: this });
    this.#retirements = new RetirementDeadlines(options.name, clock);
    this.#backoff = new BootBackoff(clock, () => {
      // One at a time while it fails: if this one boots, the others follow.
      if (this.#maintenanceBoots === 0) void this.#bootForMaintenance();
    });
    this.#trouble = new BootTrouble({
      pool: options.name,
      clock,
      reporter: dependencies.reporter,
      trial: async () => void (await this.boot(this.#generation, this.#stopBoots.signal)).stop("trial"),
      changed: () => dependencies.owner.conditionChanged(),
    });
    this.#supervisor = new WorkerSupervisor(
      options.supervisor,
      clock,
      () => this.#workers.values(),
      (worker, reason) => this.#limitReached(worker, reason),
    );
  }

  get workers(): readonly Worker[] {
    return [...this.#workers.values()];
  }

  worker(pid: number): Worker | undefined {
    return this.#workers.get(pid);
  }

  get wanted(): number {
    return this.#wanted;
  }

  /** With those that the dynamic allocator adds. */
  get wantedInAll(): number {
    return this.#wanted + this.#extra;
  }

  get generation(): number {
    return this.#generation;
  }

  get booting(): number {
    return this.#boots.underWay;
  }

  get anyReady(): boolean {
    return this.#ready.size > 0;
  }

  get condition(): WorkforceCondition {
    if (this.#dependencies.options.debug) return this.#state === "closed" ? "booting" : "serving";
    if (this.#failing) return "failing";
    if (this.#liveCount === 0) return "booting";
    return this.#trouble.exists ? "degraded" : "serving";
  }

  /** What is wrong although it serves; "" if nothing is. */
  get trouble(): string {
    return this.#trouble.reason;
  }

  #stays(worker: Worker): boolean {
    return worker.leaving === "" && !this.#unusable.has(worker);
  }

  /** Workers that stay. */
  get #liveCount(): number {
    let count = 0;
    for (const worker of this.#workers.values()) if (this.#stays(worker)) count++;
    return count;
  }

  /** Set while there is no worker because they fail to boot. */
  get failure(): { error: RrError; retryAfterMs: number } | undefined {
    return this.#failing ? { error: this.#backoff.lastError!, retryAfterMs: this.#backoff.remainingMs } : undefined;
  }

  /** Boots the first workers. Rejects with the reason of the first one that fails; nothing runs then. */
  async open(): Promise<void> {
    const { options, clock, baseEnv, pipePlace, reporter, openProcesses = openWorkerProcesses } = this.#dependencies;
    const { log } = reporter;
    const protocol = options.protocol === "goridge1" ? goridge1 : goridge3;
    const processes = await openProcesses({ options, baseEnv, pipePlace, protocol, log });
    this.#boots.environment = { options, protocol, processes, clock, log };
    try {
      const workers = await this.bootMany(this.#wanted, this.#generation, this.#stopBoots.signal);
      if (this.#state === "closing") throw await this.#notNeeded(workers);
      this.#state = "open";
      this.#boots.quiet = false;
      for (const worker of workers) this.admit(worker);
    } catch (thrown) {
      processes.close();
      throw thrown;
    }
    this.#supervisor.start();
    this.maintain();
    this.#dependencies.owner.conditionChanged();
  }

  async #notNeeded(workers: readonly Worker[]): Promise<RrError> {
    await Promise.all(workers.map((worker) => worker.stop("stop")));
    return new RrError("CANCELLED", `pool "${this.#dependencies.options.name}" was stopped while it booted`);
  }

  /** Boots nothing any more. */
  stopBoots(): void {
    this.#state = "closing";
    this.#stopBoots.abort();
    this.#backoff.close();
    this.#trouble.close();
    this.#supervisor.close();
    for (const stopTimer of this.#proofs.values()) stopTimer();
    this.#proofs.clear();
  }

  /** Ends all workers by then: idle ones politely, those that run a call at once. */
  async close(deadline: Deadline): Promise<void> {
    this.stopBoots();
    for (const worker of this.workers) if (worker.state === "working") worker.cutOff();
    await Promise.all(this.workers.map((worker) => worker.stop("stop", deadline)));
    this.#boots.environment?.processes.close();
  }

  // Taking and giving back.

  takeReady(): Worker | undefined {
    const first = this.#ready.values().next();
    if (first.done) return undefined;
    this.#ready.delete(first.value);
    return first.value;
  }

  /** To be told before a call is run: its successor may have to boot now to be there in time. */
  aboutToExecute(worker: Worker): void {
    if (nearsExecutionsMax(worker.executions, worker.executionsMax)) this.replace(worker, "max_jobs");
  }

  becameIdle(worker: Worker): void {
    if (this.#dependencies.options.debug) return void worker.stop("debug");
    const isSpent = this.#isSpent(worker);
    if (worker.leaving !== "") {
      this.retire(worker, worker.leaving);
      this.maintain();
      this.#dependencies.owner.conditionChanged();
      return;
    }
    if (worker.executions > 0) this.#bootsWork(worker);
    this.#supervisor.afterCall(worker);
    if (isSpent) this.#spent.add(worker);
    else this.#offer(worker);
  }

  #offer(worker: Worker): void {
    // Supervision may have found out that it is one too much.
    if (worker.leaving === "" && !this.#dependencies.owner.workerAvailable(worker)) this.#ready.add(worker);
  }

  becameUnusable(worker: Worker): void {
    this.#spent.delete(worker);
    this.#ready.delete(worker);
    this.#outgoing.delete(worker);
    // That it died young counts, and makes a pause before the next boot: so its successor waits until it has.
    if (worker.leaving === "" && this.#isYoung(worker)) return;
    this.#unusable.add(worker);
    this.maintain();
    this.#dependencies.owner.conditionChanged();
  }

  // The number of workers.

  setWanted(wanted: number): void {
    this.#wanted = wanted;
    this.maintain();
    this.#dependencies.owner.conditionChanged();
  }

  setExtra(extra: number): void {
    this.#extra = extra;
    this.maintain();
  }

  /** Boots what is missing and retires what is too much. */
  maintain(): void {
    if (this.#dependencies.options.debug || this.#state !== "open") return;
    const live = this.#liveCount;
    // Outgoing workers whose successor is still booting are not too much yet.
    const pendingReplacements = Math.min(this.#outgoing.size, this.#maintenanceBoots);
    for (let surplus = live - this.wantedInAll - pendingReplacements; surplus > 0; surplus--) this.#retireOne();
    const missing = this.wantedInAll + this.#outgoing.size - live - this.#maintenanceBoots;
    if (missing <= 0 || this.#backoff.pausing || this.#backoff.pause()) return;
    for (let count = 0; count < missing; count++) void this.#bootForMaintenance();
  }

  async #bootForMaintenance(): Promise<void> {
    this.#maintenanceBoots++;
    try {
      const worker = await this.boot(this.#generation, this.#stopBoots.signal);
      this.#maintenanceBoots--;
      if (this.#state !== "open" || worker.generation !== this.#generation) void worker.stop("outdated");
      else this.admit(worker);
    } catch (thrown) {
      this.#maintenanceBoots--;
      const error = RrError.from(thrown);
      if (error.reason === "CANCELLED") return;
      // Counted first: those that are kept ask for their successors again, after a pause.
      this.#countBootFailure(error);
      this.#keepOutgoing();
    }
    this.maintain();
  }

  /** Workers that were to be replaced go on; whoever found that they should go will find it again. */
  #keepOutgoing(): void {
    const [outgoing] = this.#outgoing.keys();
    if (outgoing) this.#outgoing.delete(outgoing);
    for (const worker of this.#spent) {
      this.#spent.delete(worker);
      this.#outgoing.delete(worker);
      this.#offer(worker);
    }
  }

  /** Boots a worker without admitting it. */
  boot(generation: number, signal: AbortSignal): Promise<Worker> {
    return this.#boots.boot(generation, signal);
  }

  /** Boots some without admitting them; all or nothing. */
  async bootMany(count: number, generation: number, signal: AbortSignal): Promise<Worker[]> {
    const either = AbortSignal.any([signal, this.#stopBoots.signal]);
    try {
      return await this.#boots.bootMany(count, generation, either);
    } catch (thrown) {
      // While the pool opens nothing serves.
      if (this.#state === "open" && !either.aborted)
        this.#trouble.failed(generation === this.#generation ? "boot" : "reset", RrError.from(thrown));
      throw thrown;
    }
  }

  /** Takes a booted worker in, unless it has ended meanwhile. */
  admit(worker: Worker): void {
    if (worker.state !== "ready") return;
    const { reporter, owner } = this.#dependencies;
    if (this.#backoff.failuresInARow > 0) this.#provesItselfByLiving(worker);
    if (this.#failing) {
      this.#failing = false;
      this.#trouble.forget();
      reporter.event("pool.recovered", { message: "the pool has workers again" });
    }
    this.track(worker);
    reporter.workerReady(worker);
    owner.conditionChanged();
    this.becameIdle(worker);
  }

  /** Lists a worker without offering it calls: those of debug mode have their call already. */
  track(worker: Worker): void {
    this.#workers.set(worker.pid, worker);
  }

  /** Admits a new generation and retires the old one, which has so long for its calls. */
  succeed(generation: number, successors: readonly Worker[], retireTimeoutMs: number): void {
    const retired = this.workers;
    this.#generation = generation;
    this.#trouble.forget();
    for (const worker of successors) this.admit(worker);
    for (const worker of retired) this.retire(worker, "reset", retireTimeoutMs);
    this.maintain();
    this.#dependencies.owner.conditionChanged();
  }

  /** Lets a worker end after its call, if it runs one; one that does not end that in time is killed. */
  retire(worker: Worker, reason: string, timeoutMs: number = this.#dependencies.options.retireTimeoutMs): void {
    this.#outgoing.delete(worker);
    this.#spent.delete(worker);
    this.#ready.delete(worker);
    worker.leaving = reason;
    if (worker.state === "ready") void worker.stop(reason);
    else if (worker.state === "working") this.#retirements.add(worker, timeoutMs);
  }

  /** Boots a successor; the worker goes when that is ready. */
  replace(worker: Worker, reason: string): void {
    if (worker.leaving !== "" || this.#outgoing.has(worker)) return;
    this.#outgoing.set(worker, reason);
    this.maintain();
  }

  #limitReached(worker: Worker, reason: string): void {
    if (worker.leaving !== "") return;
    // Rather a worker less than a machine without memory.
    const memoryBytesMax = MEMORY_EXCESS_MAX * this.#dependencies.options.supervisor.workerMemoryBytesMax;
    if (reason === "memory" && this.#trouble.exists && worker.memoryBytes > memoryBytesMax)
      return this.retire(worker, reason);
    if (this.#outgoing.has(worker)) return;
    this.#dependencies.reporter.limitReached(worker, reason);
    this.replace(worker, reason);
  }

  /** Retires the worker that is missed least: one on its way out, an idle one, any. */
  #retireOne(): void {
    const [spent] = this.#spent;
    if (spent) return this.retire(spent, this.#outgoing.get(spent) ?? "max_jobs");
    const [outgoing] = this.#outgoing;
    if (outgoing) return this.retire(outgoing[0], outgoing[1]);
    const idle = this.#ready.values().next();
    if (!idle.done) return this.retire(idle.value, "scale");
    for (const worker of this.#workers.values()) if (this.#stays(worker)) return this.retire(worker, "scale");
  }

  /** Ready is not enough: one that then dies at once would be started again without a pause, for ever. */
  #provesItselfByLiving(worker: Worker): void {
    const lived = () => {
      this.#proofs.delete(worker);
      this.#bootsWork(worker);
    };
    this.#proofs.set(worker, this.#dependencies.clock.after(YOUNG_WORKER_MS, lived));
  }

  /** A worker finished a call, or lived for a while: what is missing need not wait any longer. */
  #bootsWork(worker: Worker): void {
    if (this.#backoff.failuresInARow === 0 && !this.#trouble.exists) return;
    if (!this.#trouble.disproves(worker.startedAtMs + worker.bootTimeMs)) return;
    this.#backoff.succeeded();
    this.#trouble.over();
    this.maintain();
  }

  /**
   * Whether it gets no calls any more, having run as many as it may: as long as its successor is on its way. If none
   * boots, rather one call too many than a pool without workers.
   */
  #isSpent(worker: Worker): boolean {
    const { executions, executionsMax } = worker;
    if (worker.leaving !== "" || executionsMax === 0 || executions < executionsMax) return false;
    this.replace(worker, "max_jobs");
    return this.#maintenanceBoots > 0 && this.#backoff.failuresInARow === 0 && !this.#trouble.exists;
  }

  /**
   * One that dies at once, again and again, must not be started as fast as it dies. One that dies of its first call is
   * another matter: it boots, and a page that crashes must not keep the others from being served.
   */
  #isYoung(worker: Worker): boolean {
    const readyMs = this.#dependencies.clock.monotonicMs() - worker.startedAtMs - worker.bootTimeMs;
    return worker.executionStartedAtMs === 0 && readyMs < YOUNG_WORKER_MS;
  }

  #diedIdle(worker: Worker, exit: ExitStatus): RrError {
    const { name } = this.#dependencies.options;
    const message = `worker ${worker.pid} of pool "${name}" ended with ${describeExit(exit)} as soon as it was ready`;
    return new RrError("BOOT_FAILED", message, { metadata: { pool: name, pid: worker.pid } });
  }

  #countBootFailure(error: RrError): void {
    this.#backoff.failed(error);
    this.#trouble.noteFailure();
    const isTrouble = this.#trouble.exists || this.#backoff.failuresInARow >= FAILURES_TO_FAILING;
    if (isTrouble && this.#liveCount > 0) this.#trouble.failed("boot", error);
    if (this.#failing || this.#backoff.failuresInARow < FAILURES_TO_FAILING || this.#liveCount > 0) return;
    this.#failing = true;
    this.#dependencies.reporter.event("pool.failing", { reason: "CRASH_LOOP", message: error.message });
    this.#dependencies.owner.workforceFailing(error);
  }

  // What workers tell.

  exited(worker: Worker, exit: ExitStatus): void {
    const { figures, reporter, owner } = this.#dependencies;
    this.#workers.delete(worker.pid);
    this.#ready.delete(worker);
    this.#outgoing.delete(worker);
    this.#spent.delete(worker);
    this.#unusable.delete(worker);
    this.#retirements.remove(worker);
    this.#proofs.get(worker)?.();
    this.#proofs.delete(worker);
    const error = worker.exitError(exit);
    const reason = worker.leaving || error.reason;
    figures.countEnded(reason);
    reporter.workerExited(worker, exit, reason, error);
    if (worker.leaving === "" && this.#isYoung(worker)) this.#countBootFailure(this.#diedIdle(worker, exit));
    this.maintain();
    owner.conditionChanged();
  }

  strayOutput(worker: Worker, text: string): void {
    this.#dependencies.reporter.strayOutput(worker, text);
  }

  surplusAnswer(worker: Worker, text: string, keep: boolean): void {
    this.#dependencies.reporter.surplusAnswer(worker, text, keep);
  }
}
