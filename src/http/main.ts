import { connectCore } from "../client/core-client.ts";
import { createDispatchClient } from "../client/dispatch-stream.ts";
import type { FileServerOptions, HttpOptions, LogOptions, StatusOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import { createLog, type Log } from "../log.ts";
import { startFileServer } from "./file-server.ts";
import type { Listener } from "./listener.ts";
import { startFrontend } from "./server.ts";
import { startStatusServer } from "./status-server.ts";

/**
 * The frontend process. The core starts it, tells it over the message channel what to do, and it ends when told to or
 * when the core is gone.
 */
interface Assignment {
  type: "assignment";
  core: string;
  logs: LogOptions;
  servers: ServerAssignment[];
}

type ServerAssignment = { listenFd: number | undefined; host: string; port: number } & (
  | { kind: "http"; options: HttpOptions }
  | { kind: "fileserver"; options: FileServerOptions }
  | { kind: "status"; options: StatusOptions }
);

type Message = Assignment | { type: "close"; timeoutMs: number };

const listeners: Listener[] = [];

async function assigned({ core, logs, servers }: Assignment): Promise<void> {
  const log = createLog(logs).child({ channel: "http" });
  for (const server of servers) listeners.push(await start(server, core, log));
  process.send?.({ type: "listening" });
}

function start({ listenFd, host, port, ...server }: ServerAssignment, core: string, log: Log): Promise<Listener> {
  const listen = listenFd === undefined ? { host, port } : { fd: listenFd };
  if (server.kind === "fileserver") return startFileServer({ options: server.options, log, listen });
  if (server.kind === "status")
    return startStatusServer({ options: server.options, core: connectCore(core), log, listen });
  const dispatch = createDispatchClient(connectCore(core));
  return startFrontend({ options: server.options, dispatch, log, listen });
}

async function close(timeoutMs: number): Promise<void> {
  await Promise.all(listeners.map((listener) => listener.close(timeoutMs)));
  process.exit(0);
}

process.on("message", (message: Message) => {
  const done = message.type === "assignment" ? assigned(message) : close(message.timeoutMs);
  done.catch((error: Error) => {
    // What users can do something about needs no stack.
    const text = error instanceof RrError ? error.message : (error.stack ?? error.message);
    process.stderr.write(`${text}\n`);
    process.exit(1);
  });
});
// Without a core there is nothing to serve, and whoever started the core expects all its processes to be gone.
process.on("disconnect", () => process.exit(0));
// A terminal sends its signals to the whole group; the core decides when to end.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
