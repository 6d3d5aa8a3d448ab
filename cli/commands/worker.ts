import type { Pool } from "../../gen/roadrunner/pool/v1/pool_pb.ts";
import {
  AddWorkerResponseSchema,
  KillWorkerResponseSchema,
  RemoveWorkerResponseSchema,
  RestartWorkerResponseSchema,
} from "../../gen/roadrunner/pool/v1/worker_service_pb.ts";
import { explainFailure, type Failure, Interrupted } from "../failure.ts";
import type { Command } from "../invocation.ts";
import { messageData } from "../message-data.ts";
import type { Document, JsonObject, Page } from "../output/output.ts";
import { parsePid } from "../values.ts";
import { poolSentence } from "../views/pools.ts";

export const add: Command = async ({ core, words }) => {
  const response = await core.ask("starting a worker", (client, signal) =>
    client.workers.addWorker({ pool: words[0] ?? "" }, { signal }),
  );
  return { data: messageData(AddWorkerResponseSchema, response), text: (page) => poolText(response.pool, page) };
};

/** The word is a pid or the name of a pool: pids are all digits. */
export const remove: Command = async ({ core, words }) => {
  const word = words[0] ?? "";
  const request = /^\d+$/.test(word) ? { pid: parsePid(word) } : { pool: word };
  const response = await core.ask("removing a worker", (client, signal) =>
    client.workers.removeWorker(request, { signal }),
  );
  return { data: messageData(RemoveWorkerResponseSchema, response), text: (page) => poolText(response.pool, page) };
};

export const restart: Command = ({ core, words }) =>
  each(words, async (pid) => {
    const response = await core.ask(`restarting worker ${pid}`, (client, signal) =>
      client.workers.restartWorker({ pid }, { signal }),
    );
    const { pool, pid: successor } = response.worker ?? {};
    return {
      data: messageData(RestartWorkerResponseSchema, response),
      line: `${pool ?? ""}: worker ${successor ?? "?"} took the place of ${pid}\n`,
    };
  });

export const kill: Command = ({ core, words }) =>
  each(words, async (pid) => {
    const response = await core.ask(`killing worker ${pid}`, (client, signal) =>
      client.workers.killWorker({ pid }, { signal }),
    );
    return {
      data: messageData(KillWorkerResponseSchema, response),
      line: `${response.worker?.pool ?? ""}: worker ${pid} was killed; the pool replaces it\n`,
    };
  });

interface Done {
  readonly data: JsonObject;
  readonly line: string;
}

/**
 * The same with each pid, one after the other; one that fails does not keep the others from it. All are read before the
 * first is touched. With one pid the data is that of its answer, with several a list under `workers`.
 */
async function each(words: readonly string[], act: (pid: number) => Promise<Done>): Promise<Document> {
  const pids = words.map(parsePid);
  if (pids.length === 1) {
    const { data, line } = await act(pids[0]!);
    return { data, text: () => line };
  }
  const done: Done[] = [];
  const failures: Failure[] = [];
  for (const pid of pids)
    try {
      done.push(await act(pid));
    } catch (thrown) {
      const failure = explainFailure(thrown);
      if (["UNAVAILABLE", "DEADLINE_EXCEEDED"].includes(failure.reason) || thrown instanceof Interrupted) throw thrown;
      failures.push(failure);
    }
  return {
    data: { workers: done.map(({ data }) => data) },
    text: () => done.map(({ line }) => line).join(""),
    failures,
  };
}

function poolText(pool: Pool | undefined, page: Page): string {
  return pool === undefined ? "" : poolSentence(pool, page);
}
