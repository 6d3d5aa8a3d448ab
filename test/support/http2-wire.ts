import { connect, type Socket } from "node:net";

/** HTTP/2 by hand (RFC 9113, RFC 7541): frames as they are on the wire, broken ones included. */
export const Type = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

const ERROR_NAMES = [
  ...["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED"],
  ...["FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"],
];

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Identifiers and values in turn. */
export function settings(...pairs: number[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 3);
  for (let at = 0; at < pairs.length; at += 2) {
    payload.writeUInt16BE(pairs[at]!, at * 3);
    payload.writeUInt32BE(pairs[at + 1]! >>> 0, at * 3 + 2);
  }
  return frame(Type.settings, 0, 0, payload);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export const windowUpdate = (stream: number, increment: number) =>
  frame(Type.windowUpdate, 0, stream, uint32(increment));
export const rstStream = (stream: number, code = 8) => frame(Type.rstStream, 0, stream, uint32(code));
export const data = (stream: number, content: string | Uint8Array, flags: number = Flag.endStream) =>
  frame(Type.data, flags, stream, Buffer.from(content as string));

/** Headers in HPACK: each written out, and none remembered. */
export function block(...headers: [name: string, value: string][]): Buffer {
  return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.of(0), hpackText(name), hpackText(value)]));
}

/** A number with a prefix of so many bits, the bits above it given. */
export function hpackNumber(value: number, prefixBits: number, above = 0): Buffer {
  const full = (1 << prefixBits) - 1;
  if (value < full) return Buffer.of(above | value);
  const bytes = [above | full];
  let rest = value - full;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

export function hpackText(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  return Buffer.concat([hpackNumber(bytes.length, 7), bytes]);
}

type Headers = readonly [name: string, value: string][];

export const requestHeaders = (method = "GET", path = "/echo"): [string, string][] => [
  [":method", method],
  [":scheme", "http"],
  [":authority", "x"],
  [":path", path],
];

export function headers(stream: number, list: Headers, flags: number = Flag.endStream | Flag.endHeaders): Buffer {
  return frame(Type.headers, flags, stream, block(...list));
}

export const get = (stream: number, ...more: Headers) => headers(stream, [...requestHeaders(), ...more]);
/** Without its body. */
export const post = (stream: number, ...more: Headers) =>
  headers(stream, [...requestHeaders("POST", "/body"), ...more], Flag.endHeaders);

/** A connection of frames. */
export class Http2Wire {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  closed = false;
  #rest: Buffer = Buffer.alloc(0);
  #look: (() => void)[] = [];
  readonly #answersSettings: boolean;

  /** @param first what is sent at once; the preface and empty settings as a rule */
  constructor(port: number, first: Uint8Array = Buffer.concat([PREFACE, settings()])) {
    // Before settings of its own a client has nothing to acknowledge.
    this.#answersSettings = first.length > PREFACE.length;
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.socket.on("error", () => {});
    this.socket.once("close", () => {
      this.closed = true;
      this.#wake();
    });
    this.socket.write(first);
  }

  write(...bytes: Uint8Array[]): this {
    if (!this.closed) this.socket.write(Buffer.concat(bytes));
    return this;
  }

  /** Resolves when `found` gives something; undefined if the connection closes, or after `limitMs`. */
  async until<Found>(found: () => Found | undefined | false, limitMs = 5_000): Promise<Found | undefined> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake();
    }, limitMs);
    try {
      for (;;) {
        const result = found();
        if (result !== undefined && result !== false) return result;
        if (this.closed || late) return undefined;
        await new Promise<void>((resolve) => this.#look.push(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for the answer to a ping: what was sent before it has been read then. False if the connection closed. */
  async ping(): Promise<boolean> {
    const mark = Buffer.from(String(performance.now()).padEnd(8).slice(-8));
    this.write(frame(Type.ping, 0, 0, mark));
    const isAnswer = ({ type, flags, payload }: Frame) =>
      type === Type.ping && (flags & Flag.ack) !== 0 && payload.equals(mark);
    return (await this.until(() => this.frames.some(isAnswer))) === true;
  }

  /** Of a stream, in the form of `errorName`; undefined: it was not reset. */
  resetOf(stream: number): string | undefined {
    const reset = this.frames.find((one) => one.type === Type.rstStream && one.stream === stream);
    return reset && errorName(reset.payload.readUInt32BE(0));
  }

  /** The error of the last GOAWAY. */
  get goaway(): string | undefined {
    const last = this.frames.filter(({ type }) => type === Type.goaway).at(-1);
    return last && errorName(last.payload.readUInt32BE(4));
  }

  statusOf(stream: number): number | undefined {
    const head = this.frames.find((one) => one.type === Type.headers && one.stream === stream);
    return head && statusIn(head.payload);
  }

  /** Of DATA that came for a stream. */
  bytesOf(stream: number): number {
    const frames = this.frames.filter((one) => one.type === Type.data && one.stream === stream);
    return frames.reduce((sum, { payload }) => sum + payload.length, 0);
  }

  bodyOf(stream: number): string {
    const frames = this.frames.filter((one) => one.type === Type.data && one.stream === stream);
    return Buffer.concat(frames.map(({ payload }) => payload)).toString("latin1");
  }

  ended(stream: number): boolean {
    return this.frames.some(
      ({ type, flags, stream: of }) =>
        of === stream && (type === Type.data || type === Type.headers) && (flags & Flag.endStream) !== 0,
    );
  }

  destroy(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    let bytes = Buffer.concat([this.#rest, chunk]);
    // An answer in HTTP/1 is no frames.
    while (bytes.length >= 9 && bytes.toString("latin1", 0, 5) !== "HTTP/") {
      const end = 9 + bytes.readUIntBE(0, 3);
      if (bytes.length < end) break;
      const stream = bytes.readUInt32BE(5) & 0x7fff_ffff;
      this.#came({ type: bytes[3]!, flags: bytes[4]!, stream, payload: bytes.subarray(9, end) });
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
    this.#wake();
  }

  #came(one: Frame): void {
    this.frames.push(one);
    if (this.#answersSettings && one.type === Type.settings && (one.flags & Flag.ack) === 0)
      this.socket.write(frame(Type.settings, Flag.ack, 0));
  }

  #wake(): void {
    for (const look of this.#look.splice(0)) look();
  }
}

export function errorName(code: number): string {
  return ERROR_NAMES[code] ?? `error ${code}`;
}

/** Of a block of response headers, whose first one is the status. */
function statusIn(bytes: Buffer): number {
  let at = 0;
  // Changes of the table's size may come first.
  while ((bytes[at]! & 0xe0) === 0x20) at++;
  const first = bytes[at]!;
  if ((first & 0x80) !== 0) return [200, 204, 206, 304, 400, 404, 500][(first & 0x7f) - 8] ?? Number.NaN;
  const length = bytes[at + 1]!;
  const text = bytes.subarray(at + 2, at + 2 + (length & 0x7f));
  return Number((length & 0x80) === 0 ? text.toString("latin1") : huffmanDigits(text));
}

/** 0, 1 and 2 have five bits in HPACK's code, the other digits six. */
function huffmanDigits(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  let text = "";
  for (let at = 0; text.length < 3; ) {
    const short = Number.parseInt(bits.slice(at, at + 5), 2);
    if (short <= 2) text += short;
    else text += Number.parseInt(bits.slice(at, at + 6), 2) - 22;
    at += short <= 2 ? 5 : 6;
  }
  return text;
}
