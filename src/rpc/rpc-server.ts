import type { Socket } from "node:net";
import { FloodLimit } from "../async/flood-limit.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Address } from "../net/address.ts";
import { StreamServer } from "../net/stream-server.ts";
import type { SocketRights } from "../net/unix-socket.ts";
import { RpcConnection, type RpcConnectionOwner } from "./rpc-connection.ts";
import { type RpcMethods, RpcMethodTable } from "./rpc-method.ts";

/** Each worker has one or a few. */
const CONNECTIONS_MAX = 8_192;
/** Requests of all connections that are being read or answered. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;
/** Lines that clients can cause. */
const LINES = { burst: 20, intervalMs: 1_000 };

/** The door through which PHP code calls the server. */
export class RpcServer implements RpcConnectionOwner {
  readonly clock: Clock;
  readonly methods: RpcMethodTable;
  #server: StreamServer | undefined;
  readonly #sockets = new Set<Socket>();
  #heldBytes = 0;
  readonly #refusals: FloodLimit<{ address: string | undefined; message: string }>;

  private constructor(methods: RpcMethods, log: Log, clock: Clock) {
    this.methods = new RpcMethodTable(methods);
    this.clock = clock;
    this.#refusals = new FloodLimit(clock, LINES, ({ address, message }, leftOut) =>
      log.warn({ remote_address: address, ...(leftOut > 0 && { left_out: leftOut }) }, message),
    );
  }

  /** @param rights who may connect to a unix socket */
  static async open(
    address: Address,
    rights: SocketRights,
    methods: RpcMethods,
    log: Log,
    clock: Clock = systemClock,
  ): Promise<RpcServer> {
    const rpc = new RpcServer(methods, log, clock);
    rpc.#server = await StreamServer.open({
      what: "RPC",
      key: "rpc.listen",
      address,
      rights,
      accept: (socket) => rpc.#serve(socket),
      lost: (message) => log.warn({ event: "server.socket_lost" }, message),
    });
    return rpc;
  }

  /** The port of a TCP address, the one that the system chose for 0; 0 for a unix socket. */
  get port(): number {
    const address = this.#server?.address;
    return address?.kind === "tcp" ? address.port : 0;
  }

  close(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    if (this.#sockets.size >= CONNECTIONS_MAX) {
      socket.on("error", () => {});
      this.refused(socket, `is one more than the ${CONNECTIONS_MAX} that are served`);
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    new RpcConnection(socket, this);
  }

  // What connections tell.

  held(bytes: number): boolean {
    this.#heldBytes += bytes;
    return this.#heldBytes <= HELD_BYTES_MAX;
  }

  refused(socket: Socket, why: string): void {
    const message = `a connection to the RPC address ${why}; it was closed`;
    this.#refusals.add("refused", { address: socket.remoteAddress, message });
  }
}
