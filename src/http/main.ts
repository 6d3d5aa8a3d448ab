import { connectCore } from "../client/core-client.ts";
import type { CoreCredentials } from "../client/core-credentials.ts";
import { createDispatchClient } from "../client/dispatch-client.ts";
import type { FileServerOptions, HttpOptions, LogOptions, StatusOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import { createLog } from "../log.ts";
import type { Address } from "../net/address.ts";
import { startFileServer } from "./file-server.ts";
import type { Listener, ListenTarget } from "./listener.ts";
import { startFrontend } from "./server.ts";
import { startStatusServer } from "./status-server.ts";

/**
 * The frontend process. The core starts it, tells it over the message channel what to do, and it ends when told to or
 * when the core is gone.
 */
interface Assignment {
  type: "assignment";
  cores: string[];
  credentials?: CoreCredentials;
  logs: LogOptions;
  servers: ServerAssignment[];
}

interface Place {
  listenFd: number | undefined;
  address: Address;
}
type ServerAssignment = Place &
  (
    | { kind: "http" | "https" | "fastcgi"; options: HttpOptions }
    | { kind: "fileserver"; options: FileServerOptions }
    | { kind: "status"; options: StatusOptions }
  );

type Message = Assignment | { type: "drain" } | { type: "close"; timeoutMs: number };

const listeners: Listener[] = [];
/** Set when the end is near, so that checks fail before connections do. */
const readiness = { ending: false };

async function assigned({ cores, credentials, logs, servers }: Assignment): Promise<void> {
  const log = createLog(logs).child({ channel: "http" });
  const http: Partial<Record<"http" | "https" | "fastcgi", ListenTarget>> = {};
  let options: HttpOptions | undefined;
  for (const server of servers)
    if (server.kind === "fileserver")
      listeners.push(await startFileServer({ options: server.options, log, listen: targetOf(server) }));
    else if (server.kind === "status") {
      const listen = targetOf(server);
      const clients = cores.map((core) => connectCore(core, { credentials }));
      listeners.push(await startStatusServer({ options: server.options, cores: clients, readiness, log, listen }));
    } else {
      http[server.kind] = targetOf(server);
      options = server.options;
    }
  if (options !== undefined) {
    const clients = cores.map((core) => connectCore(core, { credentials }));
    const pools = [...new Set([options.pool, ...options.routes.map(({ pool }) => pool)])];
    const dispatch = createDispatchClient(clients, { pools, log });
    const reloadEvents = clients.map(({ events }) => events);
    const { http: listen, https: tlsListen, fastcgi: fastCgiListen } = http;
    listeners.push(await startFrontend({ options, dispatch, log, listen, tlsListen, fastCgiListen, reloadEvents }));
  }
  process.send?.({ type: "listening" });
}

function targetOf({ listenFd, address }: Place): ListenTarget {
  if (listenFd !== undefined) return { fd: listenFd, address };
  return address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
}

async function close(timeoutMs: number): Promise<void> {
  await Promise.all(listeners.map((listener) => listener.close(timeoutMs)));
  process.exit(0);
}

process.on("message", (message: Message) => {
  if (message.type === "drain") {
    readiness.ending = true;
    return;
  }
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
