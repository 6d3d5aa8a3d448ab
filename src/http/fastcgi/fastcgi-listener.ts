import { createServer } from "node:net";
import type { Log } from "../../log.ts";
import { type Listener, type ListenTarget, listen, type StreamHandler } from "../listener.ts";
import type { FrontendStatistics } from "../statistics.ts";
import { FastCgiConnection, type FastCgiLimits } from "./connection.ts";

export interface FastCgiListenerSettings {
  readonly target: ListenTarget;
  readonly limits: FastCgiLimits & { readonly maxConnections: number };
  readonly handle: StreamHandler;
  readonly statistics: FrontendStatistics;
  readonly log: Log;
}

/**
 * Accepts connections of web servers.
 *
 * @throws RrError FAILED_PRECONDITION: the address is in use or may not be used
 */
export async function openFastCgiListener(settings: FastCgiListenerSettings): Promise<Listener> {
  const { target, limits, handle, statistics, log } = settings;
  const connections = new Set<FastCgiConnection>();
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = new FastCgiConnection(socket, limits, handle, log);
    connections.add(connection);
    statistics.openConnections++;
    socket.once("close", () => {
      statistics.openConnections--;
      connections.delete(connection);
    });
  });
  if (limits.maxConnections > 0) server.maxConnections = limits.maxConnections;
  server.on("drop", () => {
    statistics.refusedConnections++;
  });
  await listen(server, { target, addressKey: "http.fcgi.address" });
  server.on("error", (error) => log.error({ event: "fastcgi.server_error" }, error.message));
  const close = async (deadlineMs: number): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const connection of connections) connection.drain();
    const deadline = setTimeout(() => {
      for (const connection of connections) connection.destroy();
    }, deadlineMs);
    await closed;
    clearTimeout(deadline);
  };
  let closing: Promise<void> | undefined;
  const address = server.address();
  return {
    address:
      typeof address === "object" && address
        ? { host: address.address, port: address.port }
        : { host: String(address), port: 0 },
    close: (deadlineMs) => (closing ??= close(deadlineMs)),
  };
}
