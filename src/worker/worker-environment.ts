import type { Clock } from "../clock.ts";
import type { PoolOptions } from "../config/options.ts";
import type { WorkerProtocol } from "../goridge/worker-protocol.ts";
import type { Log } from "../log.ts";
import type { ExitStatus } from "../process/child-process.ts";
import type { Worker } from "./worker.ts";
import type { WorkerProcesses } from "./worker-process.ts";

/** What a pool gives all its workers. */
export interface WorkerEnvironment {
  readonly options: PoolOptions;
  readonly protocol: WorkerProtocol;
  readonly processes: WorkerProcesses;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a pool wants to hear of a worker. */
export interface WorkerObserver {
  /** The call is over and the worker could take another one. */
  becameIdle(worker: Worker): void;
  /** It can take no call any more, and will be gone soon. */
  becameUnusable(worker: Worker): void;
  /** The process is gone. */
  exited(worker: Worker, exit: ExitStatus): void;
  /** It printed text between its answers. */
  strayOutput(worker: Worker, text: string): void;
  /** It answered although nobody asked. `keep`: it only reported an error on top and goes on; otherwise it is killed. */
  surplusAnswer(worker: Worker, text: string, keep: boolean): void;
}
