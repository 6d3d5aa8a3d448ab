import { connectCore } from "../client/core-client.ts";
import { createDispatchClient } from "../client/dispatch-stream.ts";
import type { HttpOptions, LogOptions } from "../config/options.ts";
import { createLog } from "../log.ts";
import { startFrontend } from "./server.ts";

/**
 * The frontend process. The core starts it, tells it over the message channel what to do, and it ends when told to or
 * when the core is gone.
 */
interface Assignment {
  type: "assignment";
  core: string;
  listenFd: number | undefined;
  host: string;
  port: number;
  http: HttpOptions;
  logs: LogOptions;
}

type Message = Assignment | { type: "close"; timeoutMs: number };
type Frontend = Awaited<ReturnType<typeof startFrontend>>;

let frontend: Frontend | undefined;

async function assigned({ core, listenFd, host, port, http, logs }: Assignment): Promise<void> {
  const log = createLog(logs).child({ channel: "http" });
  const dispatch = createDispatchClient(connectCore(core));
  const listen = listenFd === undefined ? { host, port } : { fd: listenFd };
  frontend = await startFrontend({ options: http, dispatch, log, listen });
  process.send?.({ type: "listening" });
}

async function close(timeoutMs: number): Promise<void> {
  await frontend?.close(timeoutMs);
  process.exit(0);
}

process.on("message", (message: Message) => {
  const done = message.type === "assignment" ? assigned(message) : close(message.timeoutMs);
  done.catch((error: Error) => {
    process.stderr.write(`${error.stack ?? error.message}\n`);
    process.exit(1);
  });
});
// Without a core there is nothing to serve, and whoever started the core expects all its processes to be gone.
process.on("disconnect", () => process.exit(0));
// A terminal sends its signals to the whole group; the core decides when to end.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
