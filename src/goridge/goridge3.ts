import { encodeFrame, FLAG, type FrameHeader, HEADER_BYTES, STREAM, writeHeader } from "./frame.ts";
import { type FrameListener, FrameReader } from "./frame-reader.ts";
import {
  parsePid,
  type WorkerMessageListener,
  type WorkerMessageReader,
  type WorkerProtocol,
  type WorkerRequest,
} from "./worker-protocol.ts";

/** Index: a number of roadrunner.dispatch.v1.Codec. */
const FLAG_OF_CODEC = [0, FLAG.RAW, FLAG.JSON, FLAG.MSGPACK, FLAG.GOB, FLAG.PROTO] as const;

/** Several codec bits may be set; the receivers of this family look in this order. */
function codecOfFlags(flags: number): number {
  if (flags & FLAG.PROTO) return 5;
  if (flags & FLAG.JSON) return 2;
  if (flags & FLAG.RAW) return 1;
  if (flags & FLAG.MSGPACK) return 3;
  return flags & FLAG.GOB ? 4 : 0;
}

/** Of the text of an application's error so much is kept: traces have a few KB. */
const ERROR_TEXT_BYTES_MAX = 256 * 1024;

/** Bodies up to here are copied behind the header, which costs less than a second buffer in the write. */
const COPIED_BODY_BYTES = 16 * 1024;

function encodeRequest(request: WorkerRequest): Buffer[] {
  const { context, body, codec, source } = request;
  const bodyBytes = body.length + (source?.sizeBytes ?? 0);
  const copied = body.length <= COPIED_BODY_BYTES;
  const frame = Buffer.allocUnsafe(HEADER_BYTES + 4 + context.length + (copied ? body.length : 0));
  const offset = writeHeader(frame, FLAG_OF_CODEC[codec] ?? 0, 0, [context.length], context.length + bodyBytes);
  frame.set(context, offset);
  if (copied) {
    if (body.length > 0) frame.set(body, offset + context.length);
    return [frame];
  }
  return [frame, Buffer.from(body.buffer, body.byteOffset, body.byteLength)];
}

const CONTROL_JSON = FLAG.CONTROL | FLAG.JSON;

/** The frames of RoadRunner 2 and later. */
export const goridge3: WorkerProtocol = {
  encodePid: (serverPid) => encodeFrame(CONTROL_JSON, 0, [], Buffer.from(`{"pid":${serverPid}}`)),
  encodeStop: () => encodeFrame(CONTROL_JSON, 0, [], Buffer.from('{"stop":true}')),
  encodeRequest,
  pong: encodeFrame(0, STREAM.PONG, []),
  streamStop: encodeFrame(0, STREAM.STOP, []),
  createReader: (listener, frameBytesMax): WorkerMessageReader =>
    new FrameReader(new FrameInterpreter(listener), frameBytesMax),
};

/** Frames to messages. */
class FrameInterpreter implements FrameListener {
  readonly #listener: WorkerMessageListener;
  /** The beginning of an error text longer than one piece; undefined while no such frame is being read. */
  #errorParts: Buffer[] | undefined;
  #errorBytes = 0;

  constructor(listener: WorkerMessageListener) {
    this.#listener = listener;
  }

  frame(header: FrameHeader, options: readonly number[], payload: Buffer, missingBytes: number): void {
    if (header.flags & FLAG.CONTROL) return this.#control(payload, missingBytes);
    if (header.flags & FLAG.ERROR) return this.#error(payload, missingBytes);
    if (options.length !== 1)
      return this.#listener.violation(
        `a reply has one option, the length of its context; got ${options.length}`,
        payload,
      );
    const contextBytes = options[0]!;
    if (contextBytes > header.payloadBytes)
      return this.#listener.violation(
        `the context is ${contextBytes} bytes long by its option, but the frame has only ${header.payloadBytes}`,
        payload,
      );
    this.#listener.reply({
      context: payload.subarray(0, contextBytes),
      body: payload.subarray(contextBytes),
      codec: codecOfFlags(header.flags),
      more: (header.streamBits & STREAM.STREAM) !== 0,
      ping: (header.streamBits & STREAM.PING) !== 0,
      missingBytes,
    });
  }

  frameContinues(data: Buffer, missingBytes: number): void {
    if (this.#errorParts) {
      this.#error(data, missingBytes);
      return;
    }
    this.#listener.replyContinues(data, missingBytes);
  }

  stray(bytes: Buffer): void {
    this.#listener.stray(bytes);
  }

  violation(bytes: Buffer, problem: string): void {
    this.#listener.violation(problem, bytes);
  }

  #control(payload: Buffer, missingBytes: number): void {
    const pid = missingBytes === 0 ? parsePid(payload.toString()) : undefined;
    if (pid === undefined) this.#listener.violation('expected the control message {"pid":N}', payload);
    else this.#listener.introduced(pid);
  }

  #error(data: Buffer, missingBytes: number): void {
    this.#errorParts ??= [];
    const keptBytes = Math.max(0, ERROR_TEXT_BYTES_MAX - this.#errorBytes);
    if (keptBytes > 0) this.#errorParts.push(Buffer.from(data.subarray(0, keptBytes)));
    this.#errorBytes += data.length;
    if (missingBytes > 0) return;
    const text = Buffer.concat(this.#errorParts).toString();
    const cut = this.#errorBytes > ERROR_TEXT_BYTES_MAX ? ` … (${this.#errorBytes} bytes in all)` : "";
    this.#errorParts = undefined;
    this.#errorBytes = 0;
    this.#listener.error(text + cut);
  }
}
