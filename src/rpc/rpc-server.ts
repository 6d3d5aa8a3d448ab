import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import type { Address } from "../config/options.ts";
import { RrError, systemErrorCode } from "../errors.ts";
import { couldBeginFrame, encodeFrame, FLAG, type FrameHeader } from "../goridge/frame.ts";
import { FrameReader } from "../goridge/frame-reader.ts";
import type { Log } from "../log.ts";

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
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #methods: RpcMethods;
  readonly #services: ReadonlySet<string>;
  readonly #log: Log;

  private constructor(methods: RpcMethods, log: Log) {
    this.#methods = methods;
    this.#services = new Set(Object.keys(methods).map((name) => name.slice(0, name.indexOf("."))));
    this.#log = log;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async open(address: Address, methods: RpcMethods, log: Log): Promise<RpcServer> {
    const rpc = new RpcServer(methods, log);
    if (address.kind === "unix") rmSync(address.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      rpc.#server.once("error", (error) => reject(cannotListen(address, error)));
      rpc.#server.listen(address.kind === "unix" ? { path: address.path } : address, resolve);
    });
    return rpc;
  }

  /** The port of a TCP address, the one that the system chose for 0; 0 for a unix socket. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  close(): void {
    this.#server.close();
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

function cannotListen(address: Address, error: Error): RrError {
  const name = address.kind === "unix" ? address.path : `${address.host}:${address.port}`;
  const hint =
    systemErrorCode(error) === "EADDRINUSE" ? "the address is in use; choose another rpc.listen" : error.message;
  return new RrError("FAILED_PRECONDITION", `cannot listen for RPC on ${name}: ${hint}`, { cause: error });
}
