import { createServer, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { systemErrorCode } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { LINGER_MS, rawErrorResponse } from "../error-response.ts";
import type { ListenerLimits, RequestHandler } from "../listener.ts";
import type { FrontendStatistics } from "../statistics.ts";
import { ConnectionGate } from "./gate.ts";

/** A server of HTTP/1, for connections that it accepts itself and for those that it is given. */
export interface Http1Server {
  readonly server: Server;
  /** Connections that have not sent a request yet. Node does not count them as idle. */
  readonly unused: ReadonlySet<Socket>;
}

const GATE = Symbol("gate");
type GatedSocket = Socket & { [GATE]?: ConnectionGate };

/** @param serve is called for every request, at once: see `inTurn` */
export function createHttp1Server(
  limits: ListenerLimits,
  serve: RequestHandler,
  statistics: FrontendStatistics,
  log: Log,
): Http1Server {
  const unused = new Set<Socket>();
  const server = createLimitedServer(limits, (incoming, outgoing) => {
    const socket = incoming.socket as GatedSocket;
    if (unused.size > 0) unused.delete(socket);
    socket[GATE]?.requested(incoming, outgoing);
    serve(incoming, outgoing);
  });
  const { maxHeaderBytes, headerTimeoutMs } = limits;
  server.on("connection", (socket: GatedSocket) => {
    unused.add(socket);
    socket.once("close", () => unused.delete(socket));
    const refuse = (status: number) => {
      statistics.badRequests++;
      log.debug({ event: "http.bad_request", status, remote_address: socket.remoteAddress }, "no request of HTTP/1");
      refuseConnection(socket, status);
    };
    socket[GATE] = ConnectionGate.install(socket, { maxHeaderBytes, headerTimeoutMs, refuse });
  });
  // Without a listener Node breaks the connection off without an answer. No proxy is asked here.
  server.on("connect", (_incoming, socket: GatedSocket) => {
    statistics.badRequests++;
    socket[GATE]?.end();
    // Node has let go of the connection, and nobody else would notice its end.
    socket.on("error", () => socket.destroy());
    refuseConnection(socket, 405, ["Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]);
  });
  server.on("clientError", (error, stream) => {
    const socket = stream as GatedSocket;
    const code = systemErrorCode(error) ?? "";
    const touched = socket[GATE]?.touched ?? true;
    socket[GATE]?.end();
    // A browser connects in advance, and would take an answer to nothing for that to its next request.
    if (code === "ERR_HTTP_REQUEST_TIMEOUT" && !touched) return socket.destroy();
    statistics.badRequests++;
    log.debug({ event: "http.bad_request", code, remote_address: socket.remoteAddress }, error.message);
    if (code === "ECONNRESET") socket.destroy();
    else refuseConnection(socket, unparsableStatus(error, code));
  });
  return { server, unused };
}

function createLimitedServer(limits: ListenerLimits, serve: RequestHandler): Server {
  // Node wants the shorter one to be that of the head.
  const shortestMs = Math.min(limits.headerTimeoutMs, limits.requestTimeoutMs || Number.POSITIVE_INFINITY);
  const server = createServer(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: shortestMs,
      requestTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: Math.max(50, Math.min(5_000, shortestMs / 4)),
      keepAliveTimeout: limits.keepAliveTimeoutMs,
    },
    serve,
  );
  // Node would drop headers beyond a number without a word; `headProblem` counts them.
  server.maxHeadersCount = 0;
  server.on("checkContinue", serve);
  server.on("checkExpectation", serve);
  return server;
}

/** Answers and ends a connection that no request can be read from any more. */
function refuseConnection(socket: GatedSocket, status: number, headers: readonly string[] = []): void {
  // What Node asks too: with the head of a response under way, a second one would end up in its body.
  const current = (socket as Socket & { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined;
  // These were fine, and what follows them is not: they have their responses, and then it ends.
  const last = lastComplete(current, socket[GATE]);
  if (socket.writable && last !== undefined) {
    // What still comes is thrown away, and its end is noticed.
    socket.resume();
    if (last.headersSent) last.once("finish", () => socket.destroySoon());
    else last.shouldKeepAlive = false;
    return;
  }
  if (!socket.writable || current?.headersSent) {
    socket.destroy();
    return;
  }
  socket.end(rawErrorResponse(status, headers));
  // See `endAfterLinger` for why the rest is read first.
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.once("end", () => socket.destroy());
  socket.resume();
}

/** Of the requests without a whole response, the last one that has come completely. */
function lastComplete(
  current: ServerResponse | undefined,
  gate: ConnectionGate | undefined,
): ServerResponse | undefined {
  let last: ServerResponse | undefined;
  for (const outgoing of current === undefined ? [] : [current, ...(gate?.waiting ?? [])])
    if (outgoing.req.complete) last = outgoing;
  return last;
}

function unparsableStatus(error: Error, code: string): number {
  const { rawPacket } = error as { rawPacket?: Buffer };
  // A line that ends in a wrong way has a wrong version, too, as far as the parser is concerned.
  if (code === "HPE_INVALID_VERSION" && OTHER_VERSION.test(rawPacket?.toString("latin1") ?? "")) return 505;
  return UNPARSABLE_STATUS[code] ?? 400;
}

const OTHER_VERSION = /^[A-Z]+ \S+ HTTP\/(?!1\.[01]\r)\d\.\d\r\n/m;
const UNPARSABLE_STATUS: Partial<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
};
