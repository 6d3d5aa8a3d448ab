import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Address, formatAddress } from "./address.ts";
import { listenAtHost } from "./hosts.ts";
import { KeptSocket } from "./kept-socket.ts";
import { type ListenPurpose, listenProblem } from "./listen-problem.ts";
import type { SocketRights } from "./unix-socket.ts";

export interface StreamServerOptions extends ListenPurpose {
  readonly address: Address;
  /** Of a unix socket. */
  readonly rights: SocketRights;
  readonly accept: (socket: Socket) => void;
  /** See `KeptSocketOptions`. */
  readonly lost: (message: string, restored: boolean) => void;
}

/** Accepts connections at an address, whatever becomes of its name in the file system. */
export class StreamServer {
  readonly #servers: Server[] = [];
  readonly #accept: (socket: Socket) => void;
  #kept: KeptSocket | undefined;
  /** What is listened at, with the port that the system chose. */
  #address: Address;

  private constructor({ address, accept }: StreamServerOptions) {
    this.#address = address;
    this.#accept = accept;
  }

  /** @throws RrError with the purpose's reason: what has the address, or why it cannot be used */
  static async open(options: StreamServerOptions): Promise<StreamServer> {
    const server = new StreamServer(options);
    const { address, rights, lost } = options;
    try {
      if (address.kind === "tcp") await server.#openTcp(address.host, address.port);
      else
        server.#kept = await KeptSocket.open({
          path: address.path,
          rights,
          lost,
          bind: (path) => server.#bind({ path }),
        });
    } catch (thrown) {
      server.close();
      throw listenProblem(options, address, thrown);
    }
    return server;
  }

  get address(): Address {
    return this.#address;
  }

  toString(): string {
    return formatAddress(this.#address);
  }

  /** Accepts nothing more. Connections stay: they belong to who accepted them. */
  close(): void {
    this.#kept?.close();
    for (const server of this.#servers.splice(0)) server.close();
  }

  async #openTcp(host: string, port: number): Promise<void> {
    await listenAtHost(host, (address) => this.#bind({ host: address, port }));
    const { address, port: chosen } = this.#servers[0]!.address() as AddressInfo;
    this.#address = { kind: "tcp", host: address, port: chosen };
  }

  #bind(target: { path: string } | { host: string; port: number }): Promise<void> {
    const server = createServer(this.#accept);
    return new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(target, () => {
        server.off("error", reject);
        // Accepting may fail now and then, for want of descriptors for example; the server goes on.
        server.on("error", () => {});
        this.#servers.push(server);
        resolve();
      });
    });
  }
}
