import { HEAD_BYTES_MAX } from "./frame-reader.ts";
import {
  parsePid,
  type WorkerMessageListener,
  type WorkerMessageReader,
  type WorkerProtocol,
  type WorkerRequest,
} from "./worker-protocol.ts";

/**
 * The prefix of goridge 1 and 2, spoken by workers of RoadRunner 1: one byte of flags, the size as 64 bits little
 * endian, the same size big endian, then the data. Context and body travel as two packets.
 */
const PREFIX_BYTES = 17;
const FLAG = { EMPTY: 0x02, RAW: 0x04, ERROR: 0x08, CONTROL: 0x10 } as const;
const CODEC_JSON = 2;

/** @param followingBytes data of the packet that comes after this buffer */
function encodePacket(flags: number, data: Uint8Array, followingBytes = 0): Buffer {
  const packet = Buffer.allocUnsafe(PREFIX_BYTES + data.length);
  const dataBytes = BigInt(data.length + followingBytes);
  packet[0] = flags;
  packet.writeBigUInt64LE(dataBytes, 1);
  packet.writeBigUInt64BE(dataBytes, 9);
  packet.set(data, PREFIX_BYTES);
  return packet;
}

function encodeRequest({ context, body, source }: WorkerRequest): Buffer[] {
  // RAW on the context: without it the PHP side would decode the JSON and hand on an array.
  return [Buffer.concat([encodePacket(FLAG.CONTROL | FLAG.RAW, context), encodePacket(0, body, source?.sizeBytes)])];
}

/** The prefix of RoadRunner 1. A worker cannot be asked which one it speaks: the configuration says so. */
export const goridge1: WorkerProtocol = {
  encodePid: (serverPid) => encodePacket(FLAG.CONTROL, Buffer.from(`{"pid":${serverPid}}`)),
  encodeStop: () => encodePacket(FLAG.CONTROL, Buffer.from('{"stop":true}')),
  encodeRequest,
  pong: undefined,
  streamStop: undefined,
  createReader: (listener, frameBytesMax): WorkerMessageReader => new PacketReader(listener, frameBytesMax),
};

const EMPTY: Buffer = Buffer.alloc(0);

class PacketReader implements WorkerMessageReader {
  readonly #listener: WorkerMessageListener;
  readonly #packetBytesMax: number;
  #parts: Buffer[] = [];
  #pendingBytes = 0;
  /** Context of a reply whose body has not come yet. */
  #context: Buffer | undefined;
  #broken = false;
  #packetsRead = 0;

  constructor(listener: WorkerMessageListener, packetBytesMax: number) {
    this.#listener = listener;
    this.#packetBytesMax = packetBytesMax;
  }

  get midFrame(): boolean {
    return this.#pendingBytes > 0 || this.#context !== undefined;
  }

  get framesRead(): number {
    return this.#packetsRead;
  }

  push(chunk: Buffer): void {
    if (this.#broken) return;
    this.#parts.push(chunk);
    this.#pendingBytes += chunk.length;
    while (this.#pendingBytes >= PREFIX_BYTES && this.#takePacket());
  }

  /** A packet that the end cut is explained by the end itself; less than a prefix was text. */
  end(): void {
    if (this.#broken) return;
    this.#broken = true;
    if (this.#pendingBytes > 0 && this.#pendingBytes < PREFIX_BYTES) this.#listener.stray(this.#joined());
  }

  #joined(): Buffer {
    if (this.#parts.length !== 1) this.#parts = [Buffer.concat(this.#parts)];
    return this.#parts[0]!;
  }

  #violation(problem: string, bytes: Buffer): void {
    this.#broken = true;
    this.#listener.violation(problem, bytes);
  }

  /** False: the packet is not complete, or the stream is broken. */
  #takePacket(): boolean {
    if (this.#parts[0]!.length < PREFIX_BYTES) this.#joined();
    const prefix = this.#parts[0]!;
    const size = prefix.readBigUInt64LE(1);
    const problem = this.#sizeProblem(size, prefix);
    if (problem) {
      this.#violation(problem, prefix);
      return false;
    }
    const packetBytes = PREFIX_BYTES + Number(size);
    if (this.#pendingBytes < packetBytes) return false;
    const bytes = this.#joined();
    const rest = bytes.subarray(packetBytes);
    this.#parts = rest.length > 0 ? [rest] : [];
    this.#pendingBytes = rest.length;
    this.#packet(bytes[0]!, bytes.subarray(PREFIX_BYTES, packetBytes));
    return !this.#broken;
  }

  #sizeProblem(size: bigint, prefix: Buffer): string | undefined {
    if (size !== prefix.readBigUInt64BE(9))
      return "the two sizes of a packet differ: something printed to the channel of the protocol";
    if (size > BigInt(this.#packetBytesMax))
      return `a packet of ${size} bytes, where pool.max_frame_size allows ${this.#packetBytesMax}`;
    // Before a body there is a head, or an error, whose text is no longer than that either.
    if (this.#context === undefined && size > BigInt(HEAD_BYTES_MAX))
      return `a head or an error of ${size} bytes, where ${HEAD_BYTES_MAX} are allowed`;
    return undefined;
  }

  #packet(flags: number, data: Buffer): void {
    this.#packetsRead++;
    if (this.#context) {
      const context = this.#context;
      this.#context = undefined;
      this.#listener.reply({ context, body: data, codec: CODEC_JSON, more: false, ping: false, missingBytes: 0 });
    } else if (flags & FLAG.ERROR) this.#listener.error(data.toString());
    else if (!(flags & FLAG.CONTROL)) this.#violation("a reply starts with a control packet", data);
    else if (flags & FLAG.RAW || flags & FLAG.EMPTY) this.#context = data.length > 0 ? data : EMPTY;
    else {
      const pid = parsePid(data.toString());
      if (pid === undefined) this.#violation('expected the control packet {"pid":N}', data);
      else this.#listener.introduced(pid);
    }
  }
}
