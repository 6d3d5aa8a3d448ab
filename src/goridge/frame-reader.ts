import { couldBeginFrame, type FrameHeader, HEADER_BYTES, readHeader } from "./frame.ts";

/** Frames of this size and less are handed on whole; of larger ones the payload is handed on as it comes. */
export const WHOLE_FRAME_BYTES = 64 * 1024;
/** Text between frames beyond this is no longer an accident. */
export const STRAY_BYTES_MAX = 64 * 1024;

export interface FrameListener {
  /** A frame, or the beginning of a large one: `missingBytes` more come by `frameContinues`. */
  frame(header: FrameHeader, options: readonly number[], payload: Buffer, missingBytes: number): void;
  frameContinues(data: Buffer, missingBytes: number): void;
  /** Bytes that are no frame: all that came between two frames, in one piece. */
  stray(bytes: Buffer): void;
  /** Too much text. Nothing more is read. */
  violation(bytes: Buffer): void;
}

const EMPTY: Buffer = Buffer.alloc(0);

/**
 * Bytes, cut anywhere, to frames. Text that something printed between frames is passed over up to the next bytes that
 * are a valid header in every respect. Payloads are views on what was pushed.
 */
export class FrameReader {
  readonly #listener: FrameListener;
  readonly #payloadBytesMax: number;
  #pending = EMPTY;
  #missingBytes = 0;
  #strayPieces: Buffer[] = [];
  #strayBytes = 0;
  #broken = false;

  constructor(listener: FrameListener, payloadBytesMax: number) {
    this.#listener = listener;
    this.#payloadBytesMax = payloadBytesMax;
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
    if (this.#pending.length > 0) {
      bytes = Buffer.concat([this.#pending, bytes]);
      this.#pending = EMPTY;
    }
    this.#pending = this.#consume(bytes);
  }

  /** The stream ended. A frame that it cut is explained by the end itself; anything else that is left over was text. */
  end(): void {
    if (this.#broken) return;
    this.#broken = true;
    const rest = this.#pending;
    this.#pending = EMPTY;
    if (rest.length > 0 && !couldBeginFrame(rest[0]!)) this.#strayPieces.push(rest);
    this.#reportStray();
  }

  /** Bytes of an unfinished frame or of text wait for more. */
  get midFrame(): boolean {
    return this.#missingBytes > 0 || this.#pending.length > 0;
  }

  /** Hands on all frames in `bytes`; returns the beginning of the next one. */
  #consume(bytes: Buffer): Buffer {
    let offset = 0;
    while (bytes.length - offset >= HEADER_BYTES) {
      const header = readHeader(bytes, offset, this.#payloadBytesMax);
      if (!header) {
        const next = this.#passOver(bytes, offset);
        if (next < 0) return EMPTY;
        offset = next;
        continue;
      }
      const available = bytes.length - offset - header.headerBytes;
      const whole = available >= header.payloadBytes;
      if (!whole && (available < 0 || header.payloadBytes <= WHOLE_FRAME_BYTES)) break;
      const options = readOptions(bytes, offset, header);
      // The first option is the length of the context, which must not be cut.
      if (!whole && available < Math.min(options[0] ?? 0, header.payloadBytes)) break;
      const start = offset + header.headerBytes;
      offset = whole ? start + header.payloadBytes : bytes.length;
      this.#reportStray();
      this.#missingBytes = header.payloadBytes - (offset - start);
      this.#listener.frame(header, options, bytes.subarray(start, offset), this.#missingBytes);
    }
    return offset === bytes.length ? EMPTY : bytes.subarray(offset);
  }

  /** Returns where to look on, or -1 if there was too much text. */
  #passOver(bytes: Buffer, from: number): number {
    let offset = from + 1;
    while (bytes.length - offset >= HEADER_BYTES && !readHeader(bytes, offset, this.#payloadBytesMax)) offset++;
    this.#strayBytes += offset - from;
    this.#strayPieces.push(bytes.subarray(from, offset));
    if (this.#strayBytes > STRAY_BYTES_MAX) {
      this.#broken = true;
      this.#listener.violation(Buffer.concat(this.#strayPieces));
      return -1;
    }
    return offset;
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
