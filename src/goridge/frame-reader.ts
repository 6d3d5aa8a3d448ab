import { couldBeginFrame, type FrameHeader, HEADER_BYTES, headerProblem, readHeader } from "./frame.ts";

/** Frames of this size and less are handed on whole; of larger ones the payload is handed on as it comes. */
export const WHOLE_FRAME_BYTES = 64 * 1024;
/** Text between frames beyond this is no longer an accident. */
export const STRAY_BYTES_MAX = 64 * 1024;
/** The head of a reply, which is handed on whole. Heads of HTTP have a few KB. */
export const HEAD_BYTES_MAX = 4 * 1024 * 1024;

export interface FrameListener {
  /** A frame, or the beginning of a large one: `missingBytes` more come by `frameContinues`. */
  frame(header: FrameHeader, options: readonly number[], payload: Buffer, missingBytes: number): void;
  frameContinues(data: Buffer, missingBytes: number): void;
  /** Bytes that are no frame: all that came between two frames, in one piece. */
  stray(bytes: Buffer): void;
  /** Too much text, or a frame that cannot be read. Nothing more is read. */
  violation(bytes: Buffer, problem: string): void;
}

/** What frames mean to whoever reads them. */
export interface FrameRules {
  /** What the limit of a payload is called. */
  readonly limit: string;
  /** How many bytes of the payload are its head, which is never cut. */
  headBytes(options: readonly number[]): number;
}

/** Frames of workers: their only option is the length of the context. */
const WORKER_RULES: FrameRules = { limit: "pool.max_frame_size", headBytes: (options) => options[0] ?? 0 };

const EMPTY: Buffer = Buffer.alloc(0);

/**
 * Bytes, cut anywhere, to frames. Text that something printed between frames is passed over up to the next bytes that
 * are a valid header in every respect. Payloads are views on what was pushed. What has to be collected is joined once.
 */
export class FrameReader {
  readonly #listener: FrameListener;
  readonly #payloadBytesMax: number;
  readonly #rules: FrameRules;
  /** The beginning of a frame, in the pieces that came. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Fewer bytes than these say nothing new. */
  #neededBytes = HEADER_BYTES;
  #missingBytes = 0;
  #strayPieces: Buffer[] = [];
  #strayBytes = 0;
  #broken = false;
  #framesRead = 0;

  constructor(listener: FrameListener, payloadBytesMax: number, rules: FrameRules = WORKER_RULES) {
    this.#listener = listener;
    this.#payloadBytesMax = payloadBytesMax;
    this.#rules = rules;
  }

  push(chunk: Buffer): void {
    if (this.#broken) return;
    let bytes = chunk;
    if (this.#missingBytes > 0) {
      const data = bytes.subarray(0, this.#missingBytes);
      this.#missingBytes -= data.length;
      bytes = bytes.subarray(data.length);
      this.#listener.frameContinues(data, this.#missingBytes);
      if (bytes.length === 0) return;
    }
    if (this.#pendingBytes > 0) {
      this.#pending.push(bytes);
      this.#pendingBytes += bytes.length;
      if (this.#pendingBytes < this.#neededBytes) return;
      bytes = this.#takePending();
    }
    const rest = this.#consume(bytes);
    if (rest.length === 0) return;
    this.#pending.push(rest);
    this.#pendingBytes = rest.length;
  }

  /** The stream ended. A frame that it cut is explained by the end itself; anything else that is left over was text. */
  end(): void {
    if (this.#broken) return;
    this.#broken = true;
    const rest = this.#takePending();
    if (rest.length > 0 && !couldBeginFrame(rest[0]!)) this.#strayPieces.push(rest);
    this.#reportStray();
  }

  /** Bytes of an unfinished frame or of text wait for more. */
  get midFrame(): boolean {
    return this.#missingBytes > 0 || this.#pendingBytes > 0;
  }

  /** Frames that were handed on since the start. */
  get framesRead(): number {
    return this.#framesRead;
  }

  #takePending(): Buffer {
    const pieces = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  /** Hands on all frames in `bytes`; returns the beginning of the next one. */
  #consume(bytes: Buffer): Buffer {
    let offset = 0;
    this.#neededBytes = HEADER_BYTES;
    while (!this.#broken && bytes.length - offset >= HEADER_BYTES) {
      const header = readHeader(bytes, offset, this.#payloadBytesMax);
      if (!header) {
        offset = this.#passOver(bytes, offset);
        continue;
      }
      const available = bytes.length - offset - header.headerBytes;
      if (available < 0) {
        this.#neededBytes = header.headerBytes;
        break;
      }
      const options = readOptions(bytes, offset, header);
      const wholeBytes = this.#wholeBytes(header, options);
      if (wholeBytes > HEAD_BYTES_MAX) {
        const problem = `a head of ${wholeBytes} bytes, where ${HEAD_BYTES_MAX} are allowed`;
        this.#violation(bytes.subarray(offset), problem);
        break;
      }
      if (available < wholeBytes) {
        this.#neededBytes = header.headerBytes + wholeBytes;
        break;
      }
      const start = offset + header.headerBytes;
      offset = Math.min(bytes.length, start + header.payloadBytes);
      this.#reportStray();
      this.#missingBytes = header.payloadBytes - (offset - start);
      this.#framesRead++;
      this.#listener.frame(header, options, bytes.subarray(start, offset), this.#missingBytes);
    }
    return this.#broken || offset === bytes.length ? EMPTY : bytes.subarray(offset);
  }

  /** How much of a payload has to be there before it is handed on. */
  #wholeBytes({ payloadBytes }: FrameHeader, options: readonly number[]): number {
    if (payloadBytes <= WHOLE_FRAME_BYTES) return payloadBytes;
    return Math.min(this.#rules.headBytes(options), payloadBytes);
  }

  /** Returns where to look on. */
  #passOver(bytes: Buffer, from: number): number {
    let offset = from;
    for (;;) {
      const problem = headerProblem(bytes, offset, this.#payloadBytesMax, this.#rules.limit);
      if (problem) {
        this.#passedOver(bytes.subarray(from, offset));
        this.#reportStray();
        this.#violation(bytes.subarray(offset), problem);
        return offset;
      }
      offset++;
      if (bytes.length - offset < HEADER_BYTES || readHeader(bytes, offset, this.#payloadBytesMax)) break;
    }
    this.#passedOver(bytes.subarray(from, offset));
    if (this.#strayBytes > STRAY_BYTES_MAX)
      this.#violation(Buffer.concat(this.#strayPieces), "text that is not a frame on the channel of the protocol");
    return offset;
  }

  #passedOver(text: Buffer): void {
    if (text.length === 0) return;
    this.#strayBytes += text.length;
    this.#strayPieces.push(text);
  }

  #violation(bytes: Buffer, problem: string): void {
    this.#broken = true;
    this.#listener.violation(bytes, problem);
  }

  #reportStray(): void {
    if (this.#strayPieces.length === 0) return;
    const text = Buffer.concat(this.#strayPieces);
    this.#strayPieces = [];
    this.#strayBytes = 0;
    this.#listener.stray(text);
  }
}

const NO_OPTIONS: readonly number[] = [];

function readOptions(bytes: Buffer, offset: number, header: FrameHeader): readonly number[] {
  if (header.headerBytes === HEADER_BYTES) return NO_OPTIONS;
  const options: number[] = [];
  for (let at = offset + HEADER_BYTES; at < offset + header.headerBytes; at += 4) options.push(bytes.readUInt32LE(at));
  return options;
}
