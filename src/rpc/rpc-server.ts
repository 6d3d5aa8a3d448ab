import type { Socket } from "node:net";
import { couldBeginFrame, encodeFrame, FLAG, type FrameHeader } from "../goridge/frame.ts";
import { FrameReader } from "../goridge/frame-reader.ts";
import type { Log } from "../log.ts";
import type { Address } from "../net/address.ts";
import { StreamServer } from "../net/stream-server.ts";
import type { SocketRights } from "../net/unix-socket.ts";

/**
 * Goridge RPC, the door through which PHP code calls the server: frames with two options, the caller's sequence number
 * and the length of the method's name; the payload is the name and the argument. The reply carries the same sequence,
 * name and codec; the ERROR flag makes its body a text.
 */
export type RpcMethods = Readonly<Record<string, (argument: unknown) => unknown | Promise<unknown>>>;

/** Largest request; what PHP clients send here is small. */
const REQUEST_BYTES_MAX = 16 * 1024 * 1024;
const CODECS = FLAG.PROTO | FLAG.JSON | FLAG.RAW | FLAG.MSGPACK | FLAG.GOB;

export class RpcServer {
  #server: StreamServer | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #methods: RpcMethods;
  readonly #services: ReadonlySet<string>;
  readonly #log: Log;

  private constructor(methods: RpcMethods, log: Log) {
    this.#methods = methods;
    this.#services = new Set(Object.keys(methods).map((name) => name.slice(0, name.indexOf("."))));
    this.#log = log;
  }

  /** @param rights who may connect to a unix socket */
  static async open(address: Address, rights: SocketRights, methods: RpcMethods, log: Log): Promise<RpcServer> {
    const rpc = new RpcServer(methods, log);
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
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    const refuse = (bytes: Buffer) => {
      this.#log.warn(
        { remote_address: socket.remoteAddress },
        `a connection to the RPC address does not speak goridge and was closed: it sent "${bytes.toString("latin1", 0, 40)}"`,
      );
      socket.destroy();
    };
    let request: { header: FrameHeader; options: readonly number[]; parts: Buffer[] } | undefined;
    const received = (missingBytes: number) => {
      if (missingBytes > 0 || !request) return;
      const { header, options, parts } = request;
      request = undefined;
      void this.#answer(socket, header, options, Buffer.concat(parts));
    };
    const reader = new FrameReader(
      {
        frame: (header, options, payload, missingBytes) => {
          request = { header, options, parts: [payload] };
          received(missingBytes);
        },
        frameContinues: (data, missingBytes) => {
          request?.parts.push(data);
          received(missingBytes);
        },
        stray: refuse,
        violation: refuse,
      },
      REQUEST_BYTES_MAX,
    );
    socket.on("data", (chunk) => {
      // A reader that waits for a frame after text would let a stranger wait for ever.
      if (!reader.midFrame && !couldBeginFrame(chunk[0]!)) refuse(chunk);
      else reader.push(chunk);
    });
  }

  async #answer(socket: Socket, header: FrameHeader, options: readonly number[], payload: Buffer): Promise<void> {
    const [sequence = 0, methodBytes = 0] = options;
    const method = payload.toString("utf8", 0, methodBytes);
    const codec = header.flags & CODECS;
    let flags = codec;
    let body: Buffer;
    try {
      if (codec !== FLAG.JSON && codec !== FLAG.RAW)
        throw new Error(`rpc: the codec of ${method} is not supported: use JSON`);
      const argument = payload.length > methodBytes ? parseArgument(payload.toString("utf8", methodBytes)) : undefined;
      const result = await this.#find(method)(argument);
      body = Buffer.from(JSON.stringify(result ?? null));
    } catch (thrown) {
      flags |= FLAG.ERROR;
      body = Buffer.from(thrown instanceof Error ? thrown.message : String(thrown));
    }
    if (socket.writable)
      socket.write(encodeFrame(flags, 0, [sequence, methodBytes], payload.subarray(0, methodBytes), body));
  }

  /** The texts of the errors are what PHP clients look for. */
  #find(method: string): RpcMethods[string] {
    const found = Object.hasOwn(this.#methods, method) ? this.#methods[method] : undefined;
    if (found) return found;
    if (!method.includes(".")) throw new Error(`rpc: service/method request ill-formed: ${method}`);
    const what = this.#services.has(method.slice(0, method.indexOf("."))) ? "method" : "service";
    throw new Error(`rpc: can't find ${what} ${method}`);
  }
}

function parseArgument(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
