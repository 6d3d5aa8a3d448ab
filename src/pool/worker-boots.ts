import { availableParallelism } from "node:os";
import type { Clock } from "../clock.ts";
import type { PoolOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import { Worker } from "../worker/worker.ts";
import type { WorkerEnvironment, WorkerObserver } from "../worker/worker-environment.ts";
import { ConcurrencyLimit } from "./concurrency-limit.ts";
import type { PoolFigures } from "./pool-figures.ts";
import type { PoolReporter } from "./pool-reporter.ts";
import { executionsMaxWithJitter } from "./supervision.ts";

export interface WorkerBootsDependencies {
  readonly options: PoolOptions;
  readonly clock: Clock;
  readonly reporter: PoolReporter;
  readonly figures: PoolFigures;
  readonly observer: WorkerObserver;
}

/** Boots workers, a few at a time, and counts how that goes. */
export class WorkerBoots {
  /** Set before the first boot. */
  environment!: WorkerEnvironment;
  /** Failures are thrown to whoever waits, who tells them once. */
  quiet = true;
  readonly #dependencies: WorkerBootsDependencies;
  readonly #limit = new ConcurrencyLimit(Math.max(2, availableParallelism() * 2));
  #underWay = 0;

  constructor(dependencies: WorkerBootsDependencies) {
    this.#dependencies = dependencies;
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** Rejects with CANCELLED when the signal aborts, and with what the boot failed of; nothing of it runs then. */
  async boot(generation: number, signal: AbortSignal): Promise<Worker> {
    this.#underWay++;
    try {
      return await this.#limit.run(() => this.#bootNow(generation, signal));
    } catch (thrown) {
      const error = RrError.from(thrown);
      if (error.reason !== "CANCELLED") {
        const { figures, reporter } = this.#dependencies;
        figures.countBootFailure(error.reason);
        reporter.bootFailed(error, this.quiet);
      }
      throw error;
    } finally {
      this.#underWay--;
    }
  }

  async #bootNow(generation: number, signal: AbortSignal): Promise<Worker> {
    if (signal.aborted) throw new RrError("CANCELLED", "a worker was not needed any more before it was started");
    const { options, clock, figures, observer } = this.#dependencies;
    const executionsMax = executionsMaxWithJitter(options.maxJobs, Math.random());
    const worker = await Worker.boot(this.environment, observer, { generation, executionsMax }, signal);
    figures.workersStarted++;
    figures.bootTime.record(worker.bootTimeMs, clock.monotonicMs());
    return worker;
  }

  /** All or nothing: if one fails, or the signal aborts, the others are ended and the first error is thrown. */
  async bootMany(count: number, generation: number, signal: AbortSignal): Promise<Worker[]> {
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    let firstError: unknown;
    const boots = Array.from({ length: count }, () =>
      this.boot(generation, either).catch((thrown) => {
        firstError ??= thrown;
        failed.abort();
        return undefined;
      }),
    );
    const workers = (await Promise.all(boots)).filter((worker) => worker !== undefined);
    if (firstError === undefined && !either.aborted) return workers;
    await Promise.all(workers.map((worker) => worker.stop("boot_failed")));
    throw firstError ?? new RrError("CANCELLED", "the workers were not needed any more when they were ready");
  }
}
