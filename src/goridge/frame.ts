import { crc32 } from "node:zlib";

/**
 * The goridge frame, as RoadRunner 2 and later and its PHP libraries speak it:
 *
 *   0     version 1 in the high nibble, header length in 32-bit words (3 + options) in the low one
 *   1     flags
 *   2-5   payload length, little endian, as everything here
 *   6-9   CRC-32 of bytes 0-5 only
 *   10    stream bits
 *   11    0
 *   12-   options, 32 bits each, then the payload
 */
export const HEADER_BYTES = 12;
/** The writer and reader of the original end at ten. */
export const OPTIONS_MAX = 10;

export const FLAG = {
  CONTROL: 0x01,
  RAW: 0x04,
  JSON: 0x08,
  MSGPACK: 0x10,
  GOB: 0x20,
  ERROR: 0x40,
  PROTO: 0x80,
} as const;

export const STREAM = { STREAM: 0x01, STOP: 0x02, PING: 0x04, PONG: 0x08 } as const;

const KNOWN_FLAGS = 0xfd;
const KNOWN_STREAM_BITS = 0x0f;

export interface FrameHeader {
  readonly flags: number;
  readonly streamBits: number;
  readonly payloadBytes: number;
  /** Header length in bytes, options included. */
  readonly headerBytes: number;
}

/** Writes a header with its options at the start of `target`; returns its length in bytes. */
export function writeHeader(
  target: Buffer,
  flags: number,
  streamBits: number,
  options: readonly number[],
  payloadBytes: number,
): number {
  if (options.length > OPTIONS_MAX)
    throw new RangeError(`a frame has at most ${OPTIONS_MAX} options, got ${options.length}`);
  target[0] = 0x10 | (3 + options.length);
  target[1] = flags;
  target.writeUInt32LE(payloadBytes, 2);
  target.writeUInt32LE(crc32(target.subarray(0, 6)), 6);
  target[10] = streamBits;
  target[11] = 0;
  let offset = HEADER_BYTES;
  for (const option of options) offset = target.writeUInt32LE(option, offset);
  return offset;
}

/** A whole frame in one buffer. */
export function encodeFrame(
  flags: number,
  streamBits: number,
  options: readonly number[],
  ...payload: readonly Uint8Array[]
): Buffer {
  let payloadBytes = 0;
  for (const part of payload) payloadBytes += part.length;
  const frame = Buffer.allocUnsafe(HEADER_BYTES + 4 * options.length + payloadBytes);
  let offset = writeHeader(frame, flags, streamBits, options, payloadBytes);
  for (const part of payload) {
    frame.set(part, offset);
    offset += part.length;
  }
  return frame;
}

/** Whether a frame may start with this byte. No printable character does. */
export function couldBeginFrame(byte: number): boolean {
  const words = byte & 0x0f;
  return byte >> 4 === 1 && words >= 3 && words <= 3 + OPTIONS_MAX;
}

/**
 * The header at `offset`, or undefined if these bytes are none: version, length, flags, stream bits, CRC and payload
 * limit must all agree, so that stray text passes for a header once in 2^40 or so. `bytes` holds at least 12 from there.
 */
export function readHeader(bytes: Buffer, offset: number, payloadBytesMax: number): FrameHeader | undefined {
  const first = bytes[offset]!;
  if (!couldBeginFrame(first)) return undefined;
  const words = first & 0x0f;
  const flags = bytes[offset + 1]!;
  const streamBits = bytes[offset + 10]!;
  if ((flags & ~KNOWN_FLAGS) !== 0 || (streamBits & ~KNOWN_STREAM_BITS) !== 0) return undefined;
  const payloadBytes = bytes.readUInt32LE(offset + 2);
  if (bytes.readUInt32LE(offset + 6) !== crc32(bytes.subarray(offset, offset + 6))) return undefined;
  if (payloadBytes > payloadBytesMax) return undefined;
  return { flags, streamBits, payloadBytes, headerBytes: words * 4 };
}

/**
 * Why bytes that are no header must be meant as one; undefined for text. A header whose checksum is right is one, whatever
 * else is wrong with it. One whose checksum alone is wrong is still nothing that anybody prints: no printable character
 * begins it, and its last byte is 0. `bytes` holds at least 12 from `offset`.
 *
 * @param limit what the payload limit is called
 */
export function headerProblem(
  bytes: Buffer,
  offset: number,
  payloadBytesMax: number,
  limit: string,
): string | undefined {
  if (!couldBeginFrame(bytes[offset]!)) return undefined;
  const flags = bytes[offset + 1]!;
  const streamBits = bytes[offset + 10]!;
  const known = (flags & ~KNOWN_FLAGS) === 0 && (streamBits & ~KNOWN_STREAM_BITS) === 0;
  if (bytes.readUInt32LE(offset + 6) !== crc32(bytes.subarray(offset, offset + 6)))
    return known && bytes[offset + 11] === 0 ? "a frame whose header has a wrong checksum" : undefined;
  const payloadBytes = bytes.readUInt32LE(offset + 2);
  if (known) return `a frame of ${payloadBytes} bytes, where ${limit} allows ${payloadBytesMax}`;
  return `a frame with flags 0x${flags.toString(16)} and stream bits 0x${streamBits.toString(16)}, which mean nothing`;
}
