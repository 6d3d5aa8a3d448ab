import type { Pool } from "../../gen/roadrunner/pool/v1/pool_pb.ts";
import {
  AddWorkerResponseSchema,
  KillWorkerResponseSchema,
  RemoveWorkerResponseSchema,
  RestartWorkerResponseSchema,
} from "../../gen/roadrunner/pool/v1/worker_service_pb.ts";
import type { Command } from "../invocation.ts";
import { messageData } from "../message-data.ts";
import type { Page } from "../output/output.ts";
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

export const restart: Command = async ({ core, words }) => {
  const pid = parsePid(words[0] ?? "");
  const response = await core.ask(`restarting worker ${pid}`, (client, signal) =>
    client.workers.restartWorker({ pid }, { signal }),
  );
  return {
    data: messageData(RestartWorkerResponseSchema, response),
    text: () => `${response.worker?.pool ?? ""}: worker ${response.worker?.pid ?? "?"} took the place of ${pid}\n`,
  };
};

export const kill: Command = async ({ core, words }) => {
  const pid = parsePid(words[0] ?? "");
  const response = await core.ask(`killing worker ${pid}`, (client, signal) =>
    client.workers.killWorker({ pid }, { signal }),
  );
  return {
    data: messageData(KillWorkerResponseSchema, response),
    text: () => `${response.worker?.pool ?? ""}: worker ${pid} was killed; the pool replaces it\n`,
  };
};

function poolText(pool: Pool | undefined, page: Page): string {
  return pool === undefined ? "" : poolSentence(pool, page);
}
