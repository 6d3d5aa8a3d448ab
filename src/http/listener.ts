import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { type AddressInfo, createServer as createNetServer, type Server as NetServer, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import { ACME_TLS } from "../config/acme-folder.ts";
import { type RrError, systemErrorCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { type Address, hostPort } from "../net/address.ts";
import { listenProblem } from "../net/listen-problem.ts";
import { AcceptedSockets } from "./accepted-sockets.ts";
import { createHttp1Server } from "./http1/http1-server.ts";
import { Http2Connections } from "./http2/http2-server.ts";
import { sniffHttp2 } from "./http2/preface.ts";
import type { FrontendStatistics } from "./statistics.ts";
import type { StreamRequest } from "./stream-request.ts";
import type { StreamResponse } from "./stream-response.ts";
import type { ServerCertificate } from "./tls/server-certificate.ts";
import { acceptsPeer, tlsServerOptions } from "./tls/tls-server.ts";

/** Where to accept connections: at an address, or on a socket that somebody else bound. */
export type ListenTarget =
  | { readonly host: string; readonly port: number }
  /** A unix socket. */
  | { readonly path: string }
  /** A listening socket among the process's descriptors. */
  | { readonly fd: number; readonly address?: Address }
  /** A listening server that came over Node's channel between processes. */
  | { readonly handle: NetServer };

export interface ListenerLimits {
  readonly maxHeaderBytes: number;
  /** 0: any number. */
  readonly maxConnections: number;
  readonly headerTimeoutMs: number;
  /** Head and body; 0: no limit. */
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
}

export interface ListenerSettings {
  readonly target: ListenTarget;
  /** Where the address is configured, for messages. */
  readonly addressKey: string;
  readonly limits: ListenerLimits;
  /** Called for every request as it comes; see `inTurn`. */
  readonly handle: RequestHandler;
  /** Undefined: HTTP/1 alone. */
  readonly http2?: { readonly maxConcurrentStreams: number } | undefined;
  /** Undefined: connections are not encrypted. */
  readonly certificate?: ServerCertificate | undefined;
  readonly statistics: FrontendStatistics;
  readonly log: Log;
  /** Whether connections end after the response under way: set when the listener closes. */
  readonly state: { draining: boolean };
}

export type RequestHandler = (incoming: IncomingMessage, outgoing: ServerResponse) => void;
/** For requests that did not come as HTTP/1. */
export type StreamHandler = (request: StreamRequest, response: StreamResponse) => void;

/** The two kinds have in common what handlers use. */
export function asStreamHandler(handle: RequestHandler): StreamHandler {
  return handle as unknown as StreamHandler;
}

export interface Listener {
  /** The port is real even if 0 was asked for. */
  readonly address: { readonly host: string; readonly port: number };
  /**
   * Accepts nothing more, lets running requests finish, and cuts off what still runs after `deadlineMs`. Resolves when no
   * connection is left; a second call joins the first.
   */
  close(deadlineMs: number): Promise<void>;
}

/**
 * Accepts connections and hands over their requests.
 *
 * @throws RrError FAILED_PRECONDITION: the address is in use or may not be used
 */
export async function openListener(settings: ListenerSettings): Promise<Listener> {
  const { handle, statistics, log, state } = settings;
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    if (state.draining) outgoing.shouldKeepAlive = false;
    handle(incoming, outgoing);
  };
  const { server: http1, unused } = createHttp1Server(settings.limits, serve, statistics, log);
  const http2 =
    settings.http2 && new Http2Connections({ ...settings.limits, ...settings.http2 }, asStreamHandler(handle), log);
  const server = acceptor(settings, http1, http2, (socket) => accepted?.decided(socket));
  const accepted = server === http1 ? undefined : new AcceptedSockets(server);
  if (settings.limits.maxConnections > 0) server.maxConnections = settings.limits.maxConnections;
  server.on("connection", (socket) => {
    statistics.openConnections++;
    socket.once("close", () => {
      statistics.openConnections--;
    });
  });
  server.on("drop", () => {
    statistics.refusedConnections++;
  });
  await listen(server, settings);
  // Accepting may fail now and then, for want of descriptors for example; the server goes on.
  server.on("error", (error) => log.error({ event: "http.server_error", code: systemErrorCode(error) }, error.message));
  let closing: Promise<void> | undefined;
  return {
    address: addressOf(server),
    close: (deadlineMs) => (closing ??= close({ server, http1, http2, unused, accepted }, settings, deadlineMs)),
  };
}

/**
 * Runs at once, or when the responses to earlier requests of the connection are complete: a pipelined request has no
 * socket before.
 */
export function inTurn(outgoing: ServerResponse, run: () => void): void {
  if (outgoing.socket === null) outgoing.once("socket", run);
  else run();
}

interface Servers {
  readonly server: NetServer;
  readonly http1: Server;
  readonly http2: Http2Connections | undefined;
  readonly unused: ReadonlySet<Socket>;
  /** Where HTTP/1 does not accept by itself. */
  readonly accepted: AcceptedSockets | undefined;
}

/** What accepts connections: the server of HTTP/1 itself if there is nothing to tell apart. */
function acceptor(
  { certificate, limits, log }: ListenerSettings,
  http1: Server,
  http2: Http2Connections | undefined,
  decided: (socket: Socket) => void,
): NetServer {
  if (certificate === undefined && http2 === undefined) return http1;
  // Node looks for slow heads and idle connections from here on; nobody calls `listen` of this server.
  http1.emit("listening");
  const http1Takes = (socket: Socket) => {
    decided(socket);
    http1.emit("connection", socket);
  };
  const http2Takes = (socket: Socket) => {
    decided(socket);
    http2!.take(socket);
  };
  if (certificate === undefined)
    return createNetServer((socket) => sniffHttp2(socket, limits.headerTimeoutMs, http1Takes, http2Takes));
  const server: TlsServer = createTlsServer(
    tlsServerOptions(certificate, { http2: http2 !== undefined, handshakeTimeoutMs: limits.headerTimeoutMs }),
    (socket) => {
      if (!acceptsPeer(certificate.clientAuth, socket)) {
        log.debug({ event: "tls.client_refused", remote_address: socket.remoteAddress }, "no acceptable certificate");
        socket.destroy();
      } else if (socket.alpnProtocol === ACME_TLS) socket.end();
      else if (socket.alpnProtocol === "h2") http2Takes(socket);
      else http1Takes(socket);
    },
  );
  server.on("tlsClientError", (error, socket) => {
    log.debug(
      { event: "tls.handshake_failed", code: systemErrorCode(error), remote_address: socket.remoteAddress },
      certificate.material.cert === undefined
        ? "there is no certificate yet: ACME is still to bring one"
        : error.message,
    );
  });
  certificate.onChange((context) => server.setSecureContext(context));
  return server;
}

async function close(
  { server, http1, http2, unused, accepted }: Servers,
  { state, log, statistics, certificate }: ListenerSettings,
  deadlineMs: number,
): Promise<void> {
  state.draining = true;
  certificate?.close();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  http2?.drain();
  // A response that was under way leaves its connection idle.
  const sweep = setInterval(() => http1.closeIdleConnections(), SWEEP_MS);
  // Whoever connected just now gets a moment to be served.
  const unusedTimer = setTimeout(
    () => {
      destroyAll(unused);
      accepted?.destroyUndecided();
    },
    Math.min(UNUSED_GRACE_MS, deadlineMs),
  );
  const deadline = setTimeout(() => {
    log.warn({ event: "http.close_forced", requests: statistics.openRequests }, "Requests were still running: cut off");
    http1.closeAllConnections();
    http2?.destroy();
    accepted?.destroyAll();
  }, deadlineMs);
  await closed;
  // Where it did not listen itself this ends its timers.
  if (http1 !== server) http1.close();
  clearInterval(sweep);
  clearTimeout(unusedTimer);
  clearTimeout(deadline);
}

const UNUSED_GRACE_MS = 500;
const SWEEP_MS = 50;

function destroyAll(sockets: Iterable<Socket>): void {
  for (const socket of sockets) socket.destroy();
}

export function listen(
  server: NetServer,
  { target, addressKey }: Pick<ListenerSettings, "target" | "addressKey">,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(listenError(error, target, addressKey));
    server.once("error", failed);
    server.once("listening", () => {
      server.off("error", failed);
      resolve();
    });
    server.listen("handle" in target ? target.handle : "fd" in target ? { fd: target.fd } : target);
  });
}

function listenError(error: Error, target: ListenTarget, key: string): RrError {
  return listenProblem({ what: "connections", key }, targetAddress(target), error);
}

function targetAddress(target: ListenTarget): Address {
  if ("host" in target) return { kind: "tcp", ...target };
  if ("path" in target) return { kind: "unix", path: target.path };
  const inherited = "address" in target ? target.address : undefined;
  return inherited ?? { kind: "unix", path: "fd" in target ? `descriptor ${target.fd}` : "an inherited socket" };
}

function addressOf(server: NetServer): { host: string; port: number } {
  const { address, port } = server.address() as AddressInfo;
  return { host: address, port };
}

export function shown({ host, port }: { host: string; port: number }): string {
  return hostPort(host, port);
}
