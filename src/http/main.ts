import "../life/no-debugger.ts";
import { connectCore } from "../client/core-client.ts";
import type { CoreCredentials } from "../client/core-credentials.ts";
import { createDispatchClient } from "../client/dispatch-client.ts";
import { systemClock } from "../clock.ts";
import type { FileServerOptions, HttpOptions, LogOptions, StatusOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type {
  FrontendAssignment,
  MessageFromFrontend,
  MessageToFrontend,
  ServerAssignment,
} from "../frontends/frontend-messages.ts";
import { handleCrashes } from "../life/crash.ts";
import { ignoreSignals } from "../life/signals.ts";
import { EXIT_BUG } from "../life/stop-request.ts";
import { floodLimited } from "../log/flood-limited-log.ts";
import { LogOutput } from "../log/log-output.ts";
import { terminalColours } from "../log/terminal-colours.ts";
import type { Log } from "../log.ts";
import { startFileServer } from "./file-server.ts";
import type { Listener, ListenTarget } from "./listener.ts";
import { WINDOW_BYTES } from "./response-writer.ts";
import { startFrontend } from "./server.ts";
import { startStatusServer } from "./status-server.ts";

/**
 * The frontend process. The core starts it, tells it over the message channel what to do, and it ends when told to or
 * when the core is gone.
 */
type ServerToServe = Omit<ServerAssignment, "kind" | "options"> &
  (
    | { kind: "http" | "https" | "fastcgi"; options: HttpOptions }
    | { kind: "fileserver"; options: FileServerOptions }
    | { kind: "status"; options: StatusOptions }
  );

/**
 * Bytes of all responses together that may wait for slow clients before each gets little more: 48 responses with a window
 * of their own each.
 */
const REPLIES_BYTES_MAX = 48 * WINDOW_BYTES;

const listeners: Listener[] = [];
let processLog: Log | undefined;
let exitCode = 0;
/** After a bug of our own: connections wait for the next frontend meanwhile. */
const AFTER_BUG_MS = 2_000;
/** Set when the end is near, so that checks fail before connections do. */
const readiness = { ending: false };
let output: LogOutput | undefined;
/** How long the end waits for lines of the log that a reader or a disk has no room for. */
const LOG_FLUSH_MS = 500;

async function assigned({ cores, credentials, logs, servers }: FrontendAssignment): Promise<void> {
  output = new LogOutput(logs as LogOptions, { colours: terminalColours(process.env) });
  process.on("exit", () => output?.end());
  // Whatever clients do, they fill no disk with warnings.
  const log = floodLimited(output.log.child({ channel: "http" }), systemClock);
  processLog = log;
  const shown = { credentials: credentials as CoreCredentials | undefined };
  const http: Partial<Record<"http" | "https" | "fastcgi", ListenTarget>> = {};
  let options: HttpOptions | undefined;
  for (const server of servers as readonly ServerToServe[])
    if (server.kind === "fileserver")
      listeners.push(await startFileServer({ options: server.options, log, listen: targetOf(server) }));
    else if (server.kind === "status") {
      const listen = targetOf(server);
      const clients = cores.map((core) => connectCore(core, shown));
      listeners.push(await startStatusServer({ options: server.options, cores: clients, readiness, log, listen }));
    } else {
      http[server.kind] = targetOf(server);
      options = server.options;
    }
  if (options !== undefined) {
    const clients = cores.map((core) => connectCore(core, shown));
    const pools = [...new Set([options.pool, ...options.routes.map(({ pool }) => pool)])];
    const dispatch = createDispatchClient(clients, {
      pools,
      log,
      windowBytes: REPLIES_BYTES_MAX,
      reached: (problem) => tell({ type: "core", problem }),
    });
    const reloadEvents = clients.map(({ events }) => events);
    const { http: listen, https: tlsListen, fastcgi: fastCgiListen } = http;
    listeners.push(await startFrontend({ options, dispatch, log, listen, tlsListen, fastCgiListen, reloadEvents }));
  }
  tell({ type: "listening" });
}

/** A core that is gone does not hear it, and `disconnect` ends this process. */
function tell(message: MessageFromFrontend): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function targetOf({ listenFd, address }: ServerToServe): ListenTarget {
  if (listenFd !== undefined) return { fd: listenFd, address };
  return address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
}

async function close(timeoutMs: number): Promise<void> {
  await Promise.all(listeners.map((listener) => listener.close(timeoutMs)));
  await output?.flush(LOG_FLUSH_MS);
  process.exit(exitCode);
}

/** Nobody knows what state this process is in: what runs gets a short time, and the core starts another one. */
function crashed(thrown: unknown): void {
  const { message, stack } = thrown instanceof Error ? thrown : { message: String(thrown), stack: undefined };
  const text = `a bug of the frontend, not of yours, ends it: ${message}`;
  if (processLog) processLog.error({ event: "process.crashed", stack }, text);
  else process.stderr.write(`${stack ?? text}\n`);
  if (exitCode === EXIT_BUG) return;
  exitCode = EXIT_BUG;
  setTimeout(() => process.exit(EXIT_BUG), AFTER_BUG_MS + 500).unref();
  void close(AFTER_BUG_MS);
}

// That somebody who read them has left is no reason to end.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

process.on("message", (message: MessageToFrontend) => {
  if (message.type === "ping") return tell({ type: "pong" });
  if (message.type === "drain") {
    readiness.ending = true;
    return;
  }
  if (message.type === "reopen_logs") {
    output?.reopen();
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
// The core decides when to end, and passes on what signals ask for.
ignoreSignals();
process.on("SIGUSR1", () => output?.reopen());
handleCrashes(crashed);
