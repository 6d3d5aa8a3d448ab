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
import type { Worker } from "../worker/worker.ts";
import { toPool, toWorker } from "./convert.ts";
import { CpuMeter } from "./cpu-meter.ts";
import { whenGone } from "./gone-workers.ts";

export function workerService(dispatcher: Dispatcher) {
  const cpu = new CpuMeter();
  const describe = (pool: Pool, worker: Worker) => toWorker(pool, worker, cpu.percent(worker.pid));

  const find = (pid: number): { pool: Pool; worker: Worker } => {
    for (const pool of dispatcher.pools) {
      const worker = pool.worker(pid);
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
      const byPid = (one: Worker, other: Worker) => one.pid - other.pid;
      return {
        workers: pools.flatMap((pool) => [...pool.workers].sort(byPid).map((worker) => describe(pool, worker))),
      };
    },
    async getWorker({ pid }: GetWorkerRequest) {
      const { pool, worker } = find(pid);
      return { worker: describe(pool, worker) };
    },
    async addWorker({ pool: name }: AddWorkerRequest, { signal }: CallContext) {
      const pool = dispatcher.pool(name);
      await pool.addWorker(signal);
      return { pool: toPool(pool) };
    },
    async removeWorker({ pool: name, pid }: RemoveWorkerRequest, { signal }: CallContext) {
      const found = pid === 0 ? undefined : find(pid);
      const pool = found?.pool ?? dispatcher.pool(name);
      if (found && name !== "" && found.pool !== dispatcher.pool(name))
        throw new RrError("INVALID_REQUEST", `worker ${pid} belongs to pool "${found.pool.name}", not to "${name}"`, {
          violations: [{ field: "pool", description: `worker ${pid} belongs to "${found.pool.name}"` }],
        });
      await whenGone(await pool.removeWorker(found?.worker, signal), signal);
      return { pool: toPool(pool) };
    },
    async restartWorker({ pid }: RestartWorkerRequest, { signal }: CallContext) {
      const { pool, worker } = find(pid);
      const successor = await pool.restartWorker(worker, signal);
      return { worker: describe(pool, successor) };
    },
    async killWorker({ pid }: KillWorkerRequest) {
      const { pool, worker } = find(pid);
      const last = describe(pool, worker);
      pool.killWorker(worker);
      return { worker: last };
    },
  } satisfies Implementation<typeof WorkerService>;
}
