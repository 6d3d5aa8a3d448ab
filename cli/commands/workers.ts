import { type ListWorkersResponse, ListWorkersResponseSchema } from "../../gen/roadrunner/pool/v1/worker_service_pb.ts";
import type { Command } from "../invocation.ts";
import { messageData } from "../message-data.ts";
import type { Document } from "../output/output.ts";
import { repeated } from "../repeated.ts";
import { parseDurationMs } from "../values.ts";
import { workersView } from "../views/workers.ts";

interface WorkersOptions {
  watch?: boolean;
  interactive?: boolean;
  interval?: string;
}

export const run: Command<WorkersOptions> = async ({ core, words, options }) => {
  const pool = words[0] ?? "";
  const list = () =>
    core.ask("listing the workers", (client, signal) => client.workers.listWorkers({ pool }, { signal }));
  if (!options.watch && !options.interactive) return workersDocument(await list());
  const intervalMs = Math.max(100, parseDurationMs("--interval", options.interval ?? "1s"));
  return {
    documents: repeated(core, intervalMs, async () => workersDocument(await list())),
    redraw: true,
  };
};

function workersDocument(response: ListWorkersResponse): Document {
  return {
    data: messageData(ListWorkersResponseSchema, response),
    text: (page) =>
      response.workers.length === 0 ? "No workers. `rrctl pools` shows why.\n" : workersView(response.workers, page),
  };
}
