import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import type { DispatchClient } from "../client/dispatch-stream.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { HttpOptions } from "../config/options.ts";
import { RrError, systemErrorCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { createAccessLog } from "./access-log.ts";
import { createRequestHandler } from "./app.ts";
import { LINGER_MS, rawErrorResponse } from "./error-response.ts";
import { HttpMetrics, type HttpMetricsSnapshot } from "./http-metrics.ts";
import { loadOwnMiddleware } from "./middleware/own.ts";
import { MIDDLEWARE } from "./middleware/registry.ts";
import { buildChain, type MiddlewareRegistry } from "./middleware.ts";
import { type FrontendCounts, FrontendStatistics } from "./statistics.ts";

/** Where to accept connections: at an address, or on a socket that somebody else bound. */
export type ListenTarget =
  | { readonly host: string; readonly port: number }
  /** A listening socket among the process's descriptors. */
  | { readonly fd: number }
  /** A listening server that came over Node's channel between processes. */
  | { readonly handle: NetServer };

export interface FrontendSettings {
  readonly options: HttpOptions;
  readonly dispatch: DispatchClient;
  readonly log: Log;
  readonly listen: ListenTarget;
  readonly clock?: Clock;
  readonly middleware?: MiddlewareRegistry;
}

export interface Frontend {
  /** What it listens at. The port is real even if 0 was asked for. */
  readonly address: { readonly host: string; readonly port: number };
  readonly stats: () => FrontendCounts;
  /** What the middleware `http_metrics` has counted. */
  readonly metrics: () => HttpMetricsSnapshot;
  /**
   * Accepts nothing more, lets running requests finish, and cuts off what still runs after `deadlineMs`. The dispatch
   * client stays open. Resolves when no connection is left; a second call joins the first.
   */
  close(deadlineMs: number): Promise<void>;
}

/**
 * Starts serving HTTP/1.1.
 *
 * @throws RrError FAILED_PRECONDITION: the address is in use or may not be used
 */
export async function startFrontend(settings: FrontendSettings): Promise<Frontend> {
  const { options, log } = settings;
  const statistics = new FrontendStatistics();
  const services = {
    dispatch: settings.dispatch,
    options,
    log,
    accessLog: createAccessLog(log, options.accessLogs),
    statistics,
    clock: settings.clock ?? systemClock,
    draining: false,
  };
  const metrics = new HttpMetrics(() => services.clock.monotonicMs());
  const registry = settings.middleware ?? MIDDLEWARE;
  const { clock } = services;
  const chain = await buildChain(registry, loadOwnMiddleware, options, log, { clock, metrics });
  const handle = createRequestHandler(services, chain);
  // Connections that have not sent a request yet. Node does not count them as idle.
  const unused = new Set<Socket>();
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    if (unused.size > 0) unused.delete(incoming.socket);
    if (services.draining) outgoing.shouldKeepAlive = false;
    // A pipelined request has no socket before the response to the one ahead is complete. They run one after another.
    if (outgoing.socket === null) outgoing.once("socket", () => handle(incoming, outgoing));
    else handle(incoming, outgoing);
  };
  const server = createLimitedServer(options, serve);
  server.on("checkContinue", serve);
  server.on("connection", (socket) => {
    statistics.openConnections++;
    unused.add(socket);
    socket.once("close", () => {
      statistics.openConnections--;
      unused.delete(socket);
    });
  });
  server.on("drop", () => {
    statistics.refusedConnections++;
  });
  server.on("clientError", (error, socket) => {
    statistics.badRequests++;
    answerUnparsable(error, socket as Socket, log);
  });
  await listen(server, settings.listen);
  // Accepting may fail now and then, for want of descriptors for example; the server goes on.
  server.on("error", (error) => log.error({ event: "http.server_error", code: systemErrorCode(error) }, error.message));
  const address = addressOf(server);
  log.info({ event: "http.listening", host: address.host, port: address.port }, `HTTP on ${shown(address)}`);

  let closing: Promise<void> | undefined;
  const close = async (deadlineMs: number): Promise<void> => {
    services.draining = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    // A response that was under way leaves its connection idle.
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
    // Whoever connected just now gets a moment to be served.
    const unusedTimer = setTimeout(() => destroyAll(unused), Math.min(UNUSED_GRACE_MS, deadlineMs));
    const deadline = setTimeout(() => {
      log.warn(
        { event: "http.close_forced", requests: statistics.openRequests },
        "Requests were still running: cut off",
      );
      server.closeAllConnections();
    }, deadlineMs);
    await closed;
    clearInterval(sweep);
    clearTimeout(unusedTimer);
    clearTimeout(deadline);
  };
  return {
    address,
    stats: () => statistics.counts(),
    metrics: () => metrics.snapshot(),
    close: (deadlineMs) => (closing ??= close(deadlineMs)),
  };
}

const UNUSED_GRACE_MS = 500;
const SWEEP_MS = 50;

function destroyAll(sockets: Iterable<Socket>): void {
  for (const socket of sockets) socket.destroy();
}

function createLimitedServer(
  options: HttpOptions,
  serve: (incoming: IncomingMessage, outgoing: ServerResponse) => void,
): Server {
  const server = createServer(
    {
      maxHeaderSize: options.maxHeaderBytes,
      headersTimeout: options.headerTimeoutMs,
      // The time of a whole request is not limited: large uploads take long. Pauses in them are (`receiveBody`).
      requestTimeout: 0,
      connectionsCheckingInterval: Math.max(50, Math.min(5_000, options.headerTimeoutMs / 4)),
      keepAliveTimeout: options.keepAliveTimeoutMs,
    },
    serve,
  );
  // Node would drop headers beyond a number without a word. Their bytes are limited; that is enough.
  server.maxHeadersCount = 0;
  if (options.maxConnections > 0) server.maxConnections = options.maxConnections;
  return server;
}

function listen(server: Server, target: ListenTarget): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(listenError(error, target));
    server.once("error", failed);
    server.once("listening", () => {
      server.off("error", failed);
      resolve();
    });
    server.listen("handle" in target ? target.handle : target);
  });
}

function listenError(error: Error, target: ListenTarget): RrError {
  const where = "host" in target ? shown(target) : "fd" in target ? `descriptor ${target.fd}` : "an inherited socket";
  const code = systemErrorCode(error);
  const [problem, advice] = LISTEN_PROBLEMS[code ?? ""] ?? [error.message, "check http.address"];
  return new RrError("FAILED_PRECONDITION", `cannot listen on ${where}: ${problem}; ${advice}`, {
    cause: error,
    metadata: { address: where, code },
  });
}

const LISTEN_PROBLEMS: Partial<Record<string, [problem: string, advice: string]>> = {
  EADDRINUSE: ["another program listens there", "stop it, or set http.address to a free port"],
  EACCES: ["this user may not use the port", "take one above 1023, or give the program the right to bind it"],
  EADDRNOTAVAIL: ["this machine does not have the address", "set http.address to one that it has, or to 0.0.0.0"],
  ENOTFOUND: ["the name of the host is not known", "set http.address to an address of this machine"],
};

function addressOf(server: Server): { host: string; port: number } {
  const { address, port } = server.address() as AddressInfo;
  return { host: address, port };
}

function shown({ host, port }: { host: string; port: number }): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A connection that no request can be read from any more. */
function answerUnparsable(error: Error, socket: Socket, log: Log): void {
  const code = systemErrorCode(error) ?? "";
  log.debug({ event: "http.bad_request", code, remote_address: socket.remoteAddress }, error.message);
  // What Node asks too: with the head of a response under way, a second one would end up in its body.
  const current = (socket as Socket & { _httpMessage?: ServerResponse })._httpMessage;
  if (!socket.writable || code === "ECONNRESET" || current?.headersSent) {
    socket.destroy();
    return;
  }
  socket.end(rawErrorResponse(UNPARSABLE_STATUS[code] ?? 400));
  // See `endAfterLinger` for why the rest is read first.
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.once("end", () => socket.destroy());
  socket.resume();
}

const UNPARSABLE_STATUS: Partial<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
};
