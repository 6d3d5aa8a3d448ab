import { randomBytes } from "node:crypto";
import type { CallContext } from "nice-grpc-common";
import type {
  AddWorkerRequest,
  GetWorkerRequest,
  KillWorkerRequest,
  ListWorkersRequest,
  RemoveWorkerRequest,
  RestartWorkerRequest,
  WorkerService,
} from "../../gen/roadrunner/pool/v1/worker_service_pb.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { RrError } from "../errors.ts";
import type { Implementation } from "../grpc/service-definition.ts";
import type { Pool } from "../pool/pool.ts";
import { processUsage } from "../process/process-usage.ts";
import type { Worker } from "../worker/worker.ts";
import { callerOf } from "./caller.ts";
import { toPool, toWorker } from "./convert.ts";
import { whenGone } from "./gone-workers.ts";

/** Names of workers that no other worker ever has, given when they are first asked for. */
class WorkerUids {
  readonly #server = randomBytes(4).toString("hex");
  readonly #names = new WeakMap<Worker, string>();
  #given = 0;

  of(worker: Worker): string {
    const name = this.#names.get(worker) ?? `${this.#server}-${++this.#given}`;
    this.#names.set(worker, name);
    return name;
  }
}

function anotherWorker(pid: number, wanted: string, uid: string): RrError {
  return new RrError(
    "WORKER_NOT_FOUND",
    `worker ${wanted} has ended, and its process id ${pid} belongs to another worker now (${uid})`,
    { metadata: { pid, uid } },
  );
}

export function workerService(dispatcher: Dispatcher) {
  const uids = new WorkerUids();
  const describe = (pool: Pool, worker: Worker) => ({
    ...toWorker(pool, worker, processUsage.cpuPercent(worker.pid)),
    uid: uids.of(worker),
  });

  /** @param uid of the worker that is meant; "": whichever has the process id */
  const find = (pid: number, uid = ""): { pool: Pool; worker: Worker } => {
    for (const pool of dispatcher.pools) {
      const worker = pool.worker(pid);
      if (worker && uid !== "" && uids.of(worker) !== uid) throw anotherWorker(pid, uid, uids.of(worker));
      if (worker) return { pool, worker };
    }
    const known = dispatcher.pools.flatMap((pool) => pool.workers.map((worker) => worker.pid));
    throw new RrError("WORKER_NOT_FOUND", `there is no worker ${pid}; the workers are: ${known.join(", ") || "none"}`, {
      metadata: { pid, known: known.join(",") },
    });
  };

  return {
    async listWorkers({ pool: name }: ListWorkersRequest) {
      const pools = name === "" ? dispatcher.pools : [dispatcher.pool(name)];
      await processUsage.fresh(pools.flatMap((pool) => pool.workers.map(({ pid }) => pid)));
      const byPid = (one: Worker, other: Worker) => one.pid - other.pid;
      return {
        workers: pools.flatMap((pool) => [...pool.workers].sort(byPid).map((worker) => describe(pool, worker))),
      };
    },
    async getWorker({ pid }: GetWorkerRequest) {
      await processUsage.fresh([find(pid).worker.pid]);
      const { pool, worker } = find(pid);
      return { worker: describe(pool, worker) };
    },
    async addWorker({ pool: name }: AddWorkerRequest, context: CallContext) {
      const pool = dispatcher.pool(name);
      await pool.addWorker(context.signal, callerOf(context).actor);
      return { pool: toPool(pool) };
    },
    async removeWorker({ pool: name, pid, uid }: RemoveWorkerRequest, context: CallContext) {
      const { signal } = context;
      const found = pid === 0 ? undefined : find(pid, uid);
      const pool = found?.pool ?? dispatcher.pool(name);
      if (found && name !== "" && found.pool !== dispatcher.pool(name))
        throw new RrError("INVALID_REQUEST", `worker ${pid} belongs to pool "${found.pool.name}", not to "${name}"`, {
          violations: [{ field: "pool", description: `worker ${pid} belongs to "${found.pool.name}"` }],
        });
      await whenGone(await pool.removeWorker(found?.worker, signal, callerOf(context).actor), signal);
      return { pool: toPool(pool) };
    },
    async restartWorker({ pid, uid }: RestartWorkerRequest, context: CallContext) {
      const { pool, worker } = find(pid, uid);
      const successor = await pool.restartWorker(worker, context.signal, callerOf(context).actor);
      return { worker: describe(pool, successor) };
    },
    async killWorker({ pid, uid }: KillWorkerRequest, context: CallContext) {
      const { pool, worker } = find(pid, uid);
      const last = describe(pool, worker);
      pool.killWorker(worker, callerOf(context).actor);
      return { worker: last };
    },
  } satisfies Implementation<typeof WorkerService>;
}
