/**
 * What a server says to a worker and hears from it, without the bytes. Two implementations: the frames of RoadRunner 2
 * and later (`goridge3.ts`) and the prefix of RoadRunner 1 (`goridge1.ts`).
 */
export interface WorkerProtocol {
  /** The first message to a worker; it answers with its own pid when it is ready for work. */
  encodePid(serverPid: number): Buffer;
  /** Asks an idle worker to end. */
  encodeStop(): Buffer;
  /**
   * One or two buffers that must be written together; the first holds at least the whole header. The bytes of a source
   * are announced by it, and follow.
   */
  encodeRequest(request: WorkerRequest): Buffer[];
  /** Lets a streaming worker go on, or end its stream; undefined where the protocol knows no streams. */
  readonly pong: Buffer | undefined;
  readonly streamStop: Buffer | undefined;
  createReader(listener: WorkerMessageListener, frameBytesMax: number): WorkerMessageReader;
}

export interface WorkerRequest {
  context: Uint8Array;
  body: Uint8Array;
  /** The rest of the body, if it is not in memory: it follows the buffers of `encodeRequest`. */
  source?: BodySource | undefined;
  /** A number of roadrunner.dispatch.v1.Codec. */
  codec: number;
}

/** Bytes that are read piece by piece, as often as needed. */
export interface BodySource {
  readonly sizeBytes: number;
  chunks(): AsyncIterable<Buffer>;
}

export interface WorkerMessageReader {
  push(chunk: Buffer): void;
  end(): void;
  readonly midFrame: boolean;
  /** Messages, or pieces of them, that were told since the start. */
  readonly framesRead: number;
}

/** Buffers are views on what was read: copy what is kept. */
export interface WorkerMessageListener {
  /** Answer to `encodePid`. */
  introduced(pid: number): void;
  /**
   * A reply or a piece of a streamed one. `more`: further frames follow. `missingBytes`: the body of this very frame
   * goes on in `replyContinues`.
   */
  reply(reply: WorkerReply): void;
  replyContinues(data: Buffer, missingBytes: number): void;
  /** The application answered with an error. */
  error(text: string): void;
  /** Text between messages. */
  stray(bytes: Buffer): void;
  /** What was read is not the protocol. */
  violation(problem: string, bytes: Buffer): void;
}

export interface WorkerReply {
  context: Buffer;
  body: Buffer;
  codec: number;
  more: boolean;
  /** The worker waits for `pong` or `streamStop`. */
  ping: boolean;
  missingBytes: number;
}

const STOP_REQUEST = '{"stop":true}';

/** The worker asks to be replaced and to have the same request run elsewhere. */
export function isStopRequest(context: Buffer, bodyBytes: number): boolean {
  return bodyBytes === 0 && context.length === STOP_REQUEST.length && context.toString("latin1") === STOP_REQUEST;
}

/** Reads `{"pid":N}`; undefined if it is anything else. */
export function parsePid(text: string): number | undefined {
  try {
    const pid = (JSON.parse(text) as { pid?: unknown }).pid;
    return typeof pid === "number" && Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
