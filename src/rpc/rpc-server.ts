import type { Socket } from "node:net";
import { FloodGate } from "../async/flood-gate.ts";
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
/** Clients can cause so many lines in the log, in so much time. */
const LINES_MAX = 20;
const LINES_INTERVAL_MS = 1_000;

/** The door through which PHP code calls the server. */
export class RpcServer implements RpcConnectionOwner {
  readonly clock: Clock;
  readonly methods: RpcMethodTable;
  #server: StreamServer | undefined;
  readonly #sockets = new Set<Socket>();
  #heldBytes = 0;
  readonly #log: Log;
  readonly #floodGate: FloodGate;

  private constructor(methods: RpcMethods, log: Log, clock: Clock) {
    this.methods = new RpcMethodTable(methods);
    this.clock = clock;
    this.#log = log;
    this.#floodGate = new FloodGate(LINES_MAX, LINES_INTERVAL_MS, clock);
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
    this.#floodGate.tell(`a connection to the RPC address ${why}; it was closed`, (message) =>
      this.#log.warn({ remote_address: socket.remoteAddress }, message),
    );
  }
}
