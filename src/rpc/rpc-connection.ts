import type { Socket } from "node:net";
import type { Clock, StopTimer } from "../clock.ts";
import { encodeFrame, FLAG, type FrameHeader } from "../goridge/frame.ts";
import { FrameReader } from "../goridge/frame-reader.ts";
import { CODECS, type RpcMethodTable } from "./rpc-method.ts";

/** Largest request; what PHP clients send here is small. */
const REQUEST_BYTES_MAX = 16 * 1024 * 1024;
const METHOD_NAME_BYTES_MAX = 256;
/** Calls under way on one connection; PHP's clients have one. While there are as many nothing more is read. */
const CALLS_MAX = 8;
/** Calls that begin before others have their turn. */
const CALLS_PER_TURN = 16;
/** A connection that has not asked for anything after this time never will; one that has may be idle for ever. */
const FIRST_REQUEST_MS = 60_000;
/** A request that has begun has to be there in this time, and an answer has to be taken. */
const PROGRESS_MS = 30_000;
/** A frame with two options; those of workers have one or none. */
const FIRST_BYTE = 0x15;
/** The first byte of a call as goridge 1 and 2 write it. */
const FIRST_BYTE_OF_GORIDGE_1 = 0x14;

export interface RpcConnectionOwner {
  readonly clock: Clock;
  readonly methods: RpcMethodTable;
  /** Bytes of unfinished requests changed by so many. False: all connections together have too many. */
  held(bytes: number): boolean;
  /** It was closed because of what it did. */
  refused(socket: Socket, why: string): void;
}

interface Request {
  readonly header: FrameHeader;
  readonly options: readonly number[];
  readonly parts: Buffer[];
}

/**
 * One connection of a PHP client. Goridge RPC: frames with two options, the caller's sequence number and the length of the
 * method's name; the payload is the name and the argument. The reply carries the same sequence, name and codec; the ERROR
 * flag makes its body a text.
 */
export class RpcConnection {
  readonly #socket: Socket;
  readonly #owner: RpcConnectionOwner;
  readonly #reader: FrameReader;
  /** The request that is being read. */
  #request: Request | undefined;
  #heldBytes = 0;
  #waiting: Request[] = [];
  #running = 0;
  #begunThisTurn = 0;
  #closed = false;
  #watched = "has not asked for anything";
  #stopTimer: StopTimer;

  constructor(socket: Socket, owner: RpcConnectionOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#reader = new FrameReader(
      {
        frame: (header, options, payload, missingBytes) =>
          this.#frame({ header, options, parts: [payload] }, missingBytes),
        frameContinues: (data, missingBytes) => this.#frameContinues(data, missingBytes),
        stray: (bytes) => this.#speaksSomethingElse(bytes),
        violation: (_bytes, problem) => this.#refuse(`sent ${problem}`),
      },
      REQUEST_BYTES_MAX,
      // Names and arguments are collected here: nothing has to come in one piece.
      { limit: "the RPC address", headBytes: () => 0 },
    );
    this.#stopTimer = this.#closeAfter(FIRST_REQUEST_MS, this.#watched);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, PROGRESS_MS);
    socket.on("data", (chunk: Buffer) => this.#data(chunk));
    socket.on("drain", () => this.#goOn());
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#close());
  }

  #data(chunk: Buffer): void {
    // A reader that waits for a frame after text would let a stranger wait for ever.
    if (!this.#reader.midFrame && chunk[0] !== FIRST_BYTE) return this.#speaksSomethingElse(chunk);
    this.#reader.push(chunk);
    this.#goOn();
  }

  #frame(request: Request, missingBytes: number): void {
    const { options, parts } = request;
    if (options.length !== 2) return this.#refuse(`sent a frame with ${options.length} options where a call has two`);
    if (options[1]! > METHOD_NAME_BYTES_MAX)
      return this.#refuse(`named a method of ${options[1]} bytes, where ${METHOD_NAME_BYTES_MAX} are allowed`);
    this.#request = request;
    this.#received(parts[0]!.length, missingBytes);
  }

  #frameContinues(data: Buffer, missingBytes: number): void {
    this.#request?.parts.push(data);
    this.#received(data.length, missingBytes);
  }

  #received(bytes: number, missingBytes: number): void {
    if (this.#closed || !this.#request) return;
    this.#heldBytes += bytes;
    if (!this.#owner.held(bytes))
      return this.#refuse("sent a request while all connections together had too many bytes");
    if (missingBytes > 0) return;
    this.#waiting.push(this.#request);
    this.#request = undefined;
  }

  /** Begins what may begin, and reads on if nothing waits. */
  #goOn(): void {
    if (this.#closed) return;
    while (this.#waiting.length > 0 && this.#running < CALLS_MAX && !this.#socket.writableNeedDrain) {
      if (this.#begunThisTurn === 0) setImmediate(() => this.#nextTurn());
      if (this.#begunThisTurn >= CALLS_PER_TURN) break;
      this.#begunThisTurn++;
      void this.#answer(this.#waiting.shift()!);
    }
    const busy = this.#waiting.length > 0 || this.#running >= CALLS_MAX;
    if (busy || this.#socket.writableNeedDrain) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
    this.#watch();
  }

  #nextTurn(): void {
    this.#begunThisTurn = 0;
    this.#goOn();
  }

  /** What has begun has to end in time, however slowly it goes on: a request in pieces, an answer that is to be read. */
  #watch(): void {
    const awaited = this.#awaited();
    if (awaited === this.#watched) return;
    this.#watched = awaited;
    this.#stopTimer();
    if (awaited !== "") this.#stopTimer = this.#closeAfter(PROGRESS_MS, awaited);
  }

  #awaited(): string {
    if (this.#socket.writableNeedDrain) return "does not read its answers";
    return this.#reader.midFrame ? "has not finished its request" : "";
  }

  #closeAfter(limitMs: number, what: string): StopTimer {
    return this.#owner.clock.after(limitMs, () => this.#refuse(`${what} within ${limitMs} ms`));
  }

  async #answer({ header, options, parts }: Request): Promise<void> {
    const payload = Buffer.concat(parts);
    const [sequence, methodBytes] = options as [number, number];
    const name = payload.subarray(0, methodBytes);
    let flags = header.flags & CODECS;
    let body: Uint8Array;
    this.#running++;
    try {
      body = await this.#owner.methods.call(name.toString(), flags, payload.subarray(methodBytes));
    } catch (thrown) {
      flags |= FLAG.ERROR;
      body = Buffer.from(thrown instanceof Error ? thrown.message : String(thrown));
    }
    this.#running--;
    if (this.#closed) return;
    this.#release(payload.length);
    this.#socket.write(encodeFrame(flags, 0, [sequence, methodBytes], name, body));
    this.#goOn();
  }

  #release(bytes: number): void {
    this.#heldBytes -= bytes;
    this.#owner.held(-bytes);
  }

  #speaksSomethingElse(bytes: Buffer): void {
    if (bytes[0] === FIRST_BYTE_OF_GORIDGE_1)
      return this.#refuse(
        "speaks the RPC of RoadRunner 1 (goridge 1 and 2), which is not served: update spiral/goridge to 3 or later",
      );
    this.#refuse(`does not speak goridge: it sent "${printable(bytes)}"`);
  }

  #refuse(why: string): void {
    if (this.#closed) return;
    this.#close();
    this.#owner.refused(this.#socket, why);
    this.#socket.destroy();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopTimer();
    this.#release(this.#heldBytes);
    this.#waiting = [];
    this.#request = undefined;
  }
}

function printable(bytes: Buffer): string {
  return bytes.toString("latin1", 0, 40).replace(/[^\x20-\x7e]/g, "·");
}
