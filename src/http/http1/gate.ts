import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { ChunkScanner, matchHeadEnd } from "./chunk-scanner.ts";
import { judgeRequestLine, METHOD_BYTES_MAX, TOKEN } from "./request-line.ts";

/** Requests of a connection that may wait for their turn; nothing more of it is read meanwhile. */
const WAITING_MAX = 16;
/** What they may be long together before it counts as too many: one more may come beyond it. */
const WAITING_BYTES_MAX = 64 * 1024;
/** RFC 9112 (2.2) wants one to be passed over, as old clients send one behind the body of a POST. */
const EMPTY_LINES_MAX = 4;

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const HEAD_END = Buffer.from("\r\n\r\n", "latin1");
const NOTHING = Buffer.alloc(0);

/** Event of a request whose body comes in chunks: how many bytes the next one has, unless all of them are there. */
export const CHUNK_ANNOUNCED = "chunk-announced";

export interface GateSettings {
  readonly maxHeaderBytes: number;
  /** For a first line to come in. */
  readonly headerTimeoutMs: number;
  /** No request can be read from the connection any more: answers and ends it. */
  readonly refuse: (status: number) => void;
}

/**
 * Stands between a connection and Node's parser, and hands the bytes over one message at a time. So it is known where a
 * message begins: its first line can be put right before the parser sees it, nothing behind a request that asks for an
 * upgrade gets lost, and reading stops while requests wait for the responses before theirs. What a message is, the parser
 * decides: where the two do not agree, the connection ends.
 *
 * between --first byte--> line --CR LF--> head --empty line--> body --its end--> between; ended from anywhere
 */
export class ConnectionGate {
  readonly #socket: Socket;
  readonly #settings: GateSettings;
  readonly #feed: (bytes: Buffer) => void;
  #state: "between" | "line" | "head" | "body" | "chunks" | "ended" = "between";
  /** The beginning of a first line whose end is not there yet. */
  #linePieces: Buffer[] = [];
  #lineBytes = 0;
  #lineTimer: NodeJS.Timeout | undefined;
  #emptyLines = 0;
  /** The CR of an empty line. */
  #halfEmptyLine = false;
  /** Of the end of the head. */
  #matched = 0;
  #remainingBytes = 0;
  #chunks: ChunkScanner | undefined;
  /** Of the request whose head is being read, if the parser is told another one. */
  #method: string | undefined;
  #incoming: IncomingMessage | undefined;
  /** Responses before which others have to be sent. */
  readonly #waiting = new Set<ServerResponse>();
  #waitingBytes = 0;
  /** Bytes that wait until there may be more requests, or until the socket is to be read again. */
  #held: Buffer = NOTHING;
  #touched = false;

  private constructor(socket: Socket, feed: (bytes: Buffer) => void, settings: GateSettings) {
    this.#socket = socket;
    this.#feed = feed;
    this.#settings = settings;
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("resume", () => this.#goOn());
    socket.once("close", () => this.end());
  }

  /** To be called when Node's server has taken the connection, before anything is read from it. */
  static install(socket: Socket, settings: GateSettings): ConnectionGate {
    // The one listener is the parser's: Node has it for connections that it cannot read from natively.
    const [feed] = socket.listeners("data") as ((bytes: Buffer) => void)[];
    if (feed === undefined) throw new Error("Node's HTTP server does not listen for the data of the connection");
    socket.removeListener("data", feed);
    return new ConnectionGate(socket, feed.bind(socket), settings);
  }

  /** Something that could be a request has come. */
  get touched(): boolean {
    return this.#touched;
  }

  /** In their order; without the one whose turn it is. */
  get waiting(): Iterable<ServerResponse> {
    return this.#waiting;
  }

  /** To be told of every request before it is handled. */
  requested(incoming: IncomingMessage, outgoing: ServerResponse): void {
    this.#incoming = incoming;
    if (this.#method !== undefined) incoming.method = this.#method;
    if (outgoing.socket !== null) return;
    this.#waiting.add(outgoing);
    outgoing.once("socket", () => this.#turned(outgoing));
  }

  /** Nothing that comes is read any more. */
  end(): void {
    this.#state = "ended";
    this.#linePieces = [];
    this.#held = NOTHING;
    clearTimeout(this.#lineTimer);
  }

  #turned(outgoing: ServerResponse): void {
    this.#waiting.delete(outgoing);
    if (this.#waiting.size === 0) this.#waitingBytes = 0;
    if (this.#held.length > 0 && !this.#isFull) this.#socket.resume();
  }

  get #isFull(): boolean {
    return this.#waiting.size >= WAITING_MAX || (this.#waiting.size > 0 && this.#waitingBytes >= WAITING_BYTES_MAX);
  }

  #take(bytes: Buffer): void {
    if (this.#state === "ended") return;
    // It was paused meanwhile, and these were on their way.
    if (this.#held.length > 0) this.#held = Buffer.concat([this.#held, bytes]);
    else this.#run(bytes);
  }

  /** Somebody wants the socket to be read: whoever takes the body of a request, or who has sent a response. */
  #goOn(): void {
    if (this.#held.length === 0 || this.#socket.isPaused()) return;
    if (this.#isFull && this.#state === "between") {
      this.#socket.pause();
      return;
    }
    const bytes = this.#held;
    this.#held = NOTHING;
    this.#run(bytes);
  }

  #run(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !this.#isEnded; ) {
      const mustWait = this.#state === "between" && this.#isFull;
      if (mustWait || this.#socket.isPaused()) {
        const rest = bytes.subarray(at);
        // A view keeps all that was read: copied when that is more than twice as much, which is seldom enough.
        this.#held = rest.length * 2 < rest.buffer.byteLength ? Buffer.from(rest) : rest;
        if (mustWait) this.#socket.pause();
        return;
      }
      at = this.#step(bytes, at);
    }
  }

  /** Takes what is of one part of a message, and answers where the next one begins. */
  #step(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case "between":
        return this.#between(bytes, at);
      case "line":
        return this.#lineGoesOn(bytes, at);
      case "head":
        return this.#head(bytes, at);
      case "body":
        return this.#body(bytes, at);
      default:
        return this.#chunk(bytes, at);
    }
  }

  #between(bytes: Buffer, at: number): number {
    const first = bytes[at]!;
    if (first === CR || first === LF || this.#halfEmptyLine) return this.#emptyLine(first, at);
    this.#touched = true;
    this.#emptyLines = 0;
    const end = bytes.indexOf(CR, at);
    if (end >= 0 && end + 1 < bytes.length) return this.#lineIsThere(bytes, at, end);
    this.#state = "line";
    this.#lineTimer = setTimeout(() => this.#refuse(408), this.#settings.headerTimeoutMs);
    return this.#keepOfLine(bytes, at);
  }

  #emptyLine(byte: number, at: number): number {
    if (byte !== (this.#halfEmptyLine ? LF : CR)) return this.#refuse(400);
    if (this.#halfEmptyLine && ++this.#emptyLines > EMPTY_LINES_MAX) return this.#refuse(400);
    this.#halfEmptyLine = !this.#halfEmptyLine;
    return at + 1;
  }

  /** The line's end is not there yet. */
  #keepOfLine(bytes: Buffer, at: number): number {
    // Copied: a view would keep all that was read with it.
    const piece = Buffer.from(bytes.subarray(at));
    if (this.#linePieces.length === 0 && !mayBeMethod(piece)) return this.#refuse(400);
    this.#linePieces.push(piece);
    this.#lineBytes += piece.length;
    if (this.#lineBytes > this.#settings.maxHeaderBytes) return this.#refuse(mayBeMethod(this.#takeLine()) ? 431 : 400);
    return bytes.length;
  }

  #lineGoesOn(bytes: Buffer, at: number): number {
    const last = this.#linePieces.at(-1)!;
    // The CR may have been the last byte of all that there was.
    const hasCr = last[last.length - 1] === CR;
    const cr = hasCr ? at - 1 : bytes.indexOf(CR, at);
    if (!hasCr && (cr < 0 || cr + 1 === bytes.length)) return this.#keepOfLine(bytes, at);
    const lf = cr + 1;
    this.#linePieces.push(bytes.subarray(at, lf + 1));
    const line = this.#takeLine();
    clearTimeout(this.#lineTimer);
    this.#lineIsThere(line, 0, line.length - 2);
    return this.#isEnded ? bytes.length : lf + 1;
  }

  #takeLine(): Buffer {
    const line = Buffer.concat(this.#linePieces);
    this.#linePieces = [];
    this.#lineBytes = 0;
    return line;
  }

  #lineIsThere(bytes: Buffer, at: number, end: number): number {
    if (bytes[end + 1] !== LF) return this.#refuse(400);
    const verdict = judgeRequestLine(bytes, at, end);
    if (verdict.kind === "refused") return this.#refuse(verdict.status);
    this.#incoming = undefined;
    this.#method = undefined;
    if (verdict.kind === "plain") {
      const emptyLine = bytes.indexOf(HEAD_END, end);
      if (emptyLine >= 0) return this.#headIsThere(bytes, at, emptyLine + HEAD_END.length);
      this.#give(bytes, at, end + 2);
    } else {
      this.#method = verdict.method;
      this.#give(verdict.line, 0, verdict.line.length);
    }
    this.#state = this.#isEnded ? "ended" : "head";
    this.#matched = 2;
    return end + 2;
  }

  #head(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      this.#matched = matchHeadEnd(this.#matched, bytes[at]!);
      if (this.#matched === HEAD_END.length) return this.#headIsThere(bytes, from, at + 1);
    }
    this.#give(bytes, from, bytes.length);
    return bytes.length;
  }

  #headIsThere(bytes: Buffer, from: number, to: number): number {
    this.#give(bytes, from, to);
    if (this.#isEnded) return to;
    // Node answers by itself what has no Host, and ends the connection.
    if (this.#incoming === undefined) this.end();
    else this.#bodyFollows(this.#incoming);
    return to;
  }

  #bodyFollows({ headers }: IncomingMessage): void {
    this.#remainingBytes = Number(headers["content-length"] ?? 0);
    if (headers["transfer-encoding"] !== undefined) {
      this.#state = "chunks";
      const incoming = this.#incoming!;
      this.#chunks = new ChunkScanner((bytes) => incoming.emit(CHUNK_ANNOUNCED, bytes));
    } else if (this.#remainingBytes > 0) this.#state = "body";
    else this.#messageIsOver();
  }

  #body(bytes: Buffer, at: number): number {
    const end = Math.min(at + this.#remainingBytes, bytes.length);
    this.#remainingBytes -= end - at;
    this.#give(bytes, at, end);
    if (this.#remainingBytes === 0) this.#messageIsOver();
    return end;
  }

  #chunk(bytes: Buffer, at: number): number {
    const end = this.#chunks!.scan(bytes, at);
    // The parser says by itself what is wrong with it.
    this.#give(bytes, at, typeof end === "number" && end >= 0 ? end : bytes.length);
    if (end === "broken") return this.#refuse(400);
    if (end < 0) return bytes.length;
    this.#messageIsOver();
    return end;
  }

  #messageIsOver(): void {
    if (this.#isEnded) return;
    this.#state = "between";
    if (!this.#incoming!.complete) this.#refuse(400);
  }

  #give(bytes: Buffer, from: number, to: number): void {
    if (this.#isEnded) return;
    if (this.#waiting.size > 0) this.#waitingBytes += to - from;
    this.#feed(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to));
  }

  /** Also whatever else has ended the connection while it was fed. */
  get #isEnded(): boolean {
    return this.#state === "ended" || this.#socket.destroyed;
  }

  /** Once: the parser may have refused it already. Answers an index behind all bytes. */
  #refuse(status: number): number {
    if (!this.#isEnded) {
      this.end();
      this.#settings.refuse(status);
    }
    return Number.POSITIVE_INFINITY;
  }
}

/** What there is of a line may become one that starts with a method. */
function mayBeMethod(start: Buffer): boolean {
  const space = start.indexOf(SPACE);
  const length = space < 0 ? start.length : space;
  const method = start.toString("latin1", 0, start[length - 1] === CR ? length - 1 : length);
  return length <= METHOD_BYTES_MAX && TOKEN.test(method);
}
