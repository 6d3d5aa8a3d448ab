import type { Clock } from "../clock.ts";
import type { PoolOptions } from "../config/options.ts";
import type { WorkerProtocol } from "../goridge/worker-protocol.ts";
import type { Log } from "../log.ts";
import type { ExitStatus } from "../process/child-process.ts";
import type { PipePlace } from "../process/pipes.ts";
import type { SocketListener } from "../relay/socket-listener.ts";
import type { Worker } from "./worker.ts";

/** What a pool gives all its workers. */
export interface WorkerEnvironment {
  readonly options: PoolOptions;
  /** The environment that `options.env` is added to. */
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
  /** Where the names of pipes are made; by default among the system's temporary files. */
  readonly pipePlace?: PipePlace | undefined;
  readonly protocol: WorkerProtocol;
  /** For unix and tcp relays. */
  readonly socketListener: SocketListener | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a pool wants to hear of a worker. */
export interface WorkerObserver {
  /** The call is over and the worker could take another one. */
  becameIdle(worker: Worker): void;
  /** The process is gone. */
  exited(worker: Worker, exit: ExitStatus): void;
  /** It printed text between its answers. */
  strayOutput(worker: Worker, text: string): void;
  /** It answered although nobody asked. `keep`: it only reported an error on top and goes on; otherwise it is killed. */
  surplusAnswer(worker: Worker, text: string, keep: boolean): void;
}
