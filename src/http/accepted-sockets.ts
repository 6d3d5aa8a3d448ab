import type { Server, Socket } from "node:net";

/** Connections from the moment they are accepted: those of whom nobody knows yet what they will speak among them. */
export class AcceptedSockets {
  readonly #all = new Map<string, Socket>();
  readonly #undecided = new Set<string>();

  constructor(server: Server) {
    server.on("connection", (socket: Socket) => {
      // TLS has a socket of its own upon this one: what they have in common is where the client is.
      const key = placeOf(socket);
      this.#all.set(key, socket);
      this.#undecided.add(key);
      socket.once("close", () => {
        this.#all.delete(key);
        this.#undecided.delete(key);
      });
    });
  }

  /** It is known who speaks on the socket, or on the one of TLS upon it. */
  decided(socket: Socket): void {
    this.#undecided.delete(placeOf(socket));
  }

  destroyUndecided(): void {
    for (const key of this.#undecided) this.#all.get(key)?.destroy();
  }

  destroyAll(): void {
    for (const socket of this.#all.values()) socket.destroy();
  }
}

function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
