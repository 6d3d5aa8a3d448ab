import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { RrError } from "../errors.ts";
import type { BodyMemory } from "./body-memory.ts";
import { CHUNK_ANNOUNCED } from "./http1/gate.ts";
import { StreamRequest } from "./stream-request.ts";

/**
 * How the body of a request reaches the worker:
 * - "none": not at all, and the context does not mention it
 * - "form": parsed, as a JSON tree
 * - "empty-form": an empty tree, whatever was sent
 * - "multipart": parsed too, its files on the disk
 * - "raw": as it came
 */
export type BodyPlan = "none" | "form" | "empty-form" | "multipart" | "raw";

/** The part of the options that bodies are read by. */
export interface BodyOptions {
  readonly maxRequestBytes: number;
  readonly bodyIdleTimeoutMs: number;
  readonly rawBody: boolean;
  readonly contextCodec: "json" | "proto";
}

export function planBody(method: string, contentType: string | undefined, rawBody: boolean): BodyPlan {
  if (method === "HEAD" || method === "OPTIONS") return "none";
  if (rawBody || contentType === undefined) return "raw";
  const type = contentType.toLowerCase();
  if (MULTIPART.test(type)) return "multipart";
  if (!type.includes("application/x-www-form-urlencoded")) return "raw";
  return method === "POST" || method === "PUT" || method === "PATCH" ? "form" : "empty-form";
}

const MULTIPART = /^\s*multipart\/form-data\s*(?:;|$)/;

/** The worker's view of a form. Workers of the JSON protocol choke on an empty body, those of protobuf do not. */
export function fieldsBody(json: Buffer, contextCodec: BodyOptions["contextCodec"]): Buffer {
  return json.length === EMPTY_TREE.length && contextCodec === "proto" ? EMPTY_BODY : json;
}

/**
 * Bytes that the head announces: 0 without a body, undefined if only its end will tell.
 *
 * @throws RrError PAYLOAD_TOO_LARGE: more than may come; INVALID_REQUEST: encoded in a way that nobody here can undo
 */
export function announcedBytes(
  incoming: IncomingMessage,
  plan: BodyPlan,
  { maxRequestBytes }: Pick<BodyOptions, "maxRequestBytes">,
): number | undefined {
  const { "content-length": length, "transfer-encoding": encoding } = incoming.headers;
  if (encoding !== undefined) {
    if (encoding.toLowerCase() === "chunked") return undefined;
    throw new RrError(
      "INVALID_REQUEST",
      `the header Transfer-Encoding is "${encoding}", and only "chunked" is understood`,
    );
  }
  if (length === undefined) return hasUnannouncedBody(incoming) ? undefined : 0;
  const bytes = Number(length);
  if (bytes > bodyBytesMax(plan, maxRequestBytes)) throw tooLarge(plan, maxRequestBytes);
  return bytes;
}

/** In HTTP/2 a body needs no length. Middleware may have read it to its end. */
function hasUnannouncedBody(incoming: unknown): boolean {
  return incoming instanceof StreamRequest && incoming.hasBody;
}

function bodyBytesMax(plan: BodyPlan, maxRequestBytes: number): number {
  return plan === "form" ? Math.min(maxRequestBytes, FORM_BYTES_MAX) : maxRequestBytes;
}

function tooLarge(plan: BodyPlan, maxRequestBytes: number): RrError {
  const bytesMax = bodyBytesMax(plan, maxRequestBytes);
  const body = bytesMax === maxRequestBytes ? "body" : "urlencoded form";
  const key = bytesMax === maxRequestBytes ? "http.max_request_size" : "fixed; files belong into multipart forms";
  return new RrError("PAYLOAD_TOO_LARGE", `the ${body} has more than ${bytesMax} bytes (${key})`);
}

/**
 * What a receiver wants:
 * - "small-whole": `whole` for a small body, `first` and `more` for a large one
 * - "pieces": `more` alone
 */
export type Delivery = "small-whole" | "pieces";

/** A body and how it is to be received. */
export interface ReceptionSettings {
  readonly incoming: Readable;
  readonly plan: BodyPlan;
  readonly options: BodyOptions;
  readonly memory: BodyMemory;
  readonly delivery: Delivery;
}

/** Who wants a body. After `failed` nothing more comes. */
export interface BodyReceiver {
  /** All of it. */
  whole(body: Buffer): void;
  /** The start of a body that is too large to be collected. The rest goes to `more`. */
  first(data: Buffer): void;
  /** What came next. Answers whether more may come at once; if not, `resume` of the reception is called for. */
  more(data: Buffer, last: boolean): boolean;
  /** `status`: to be answered instead of what the error's reason stands for. */
  failed(error: RrError, status?: number): void;
}

/** A body on its way in. */
export interface BodyReception {
  /** Goes on after `more` answered false. */
  resume(): void;
  /** The receiver hears nothing more. What still comes stays unread. */
  stop(): void;
  readonly receivedBytes: number;
}

/** Larger bodies are handed on in pieces. */
export const COLLECT_BYTES = 64 * 1024;
/** Larger urlencoded forms are uploads in disguise. */
export const FORM_BYTES_MAX = 32 * 1024 * 1024;
export const EMPTY_BODY = Buffer.alloc(0);
/** A form without fields. */
export const EMPTY_TREE = Buffer.from("{}");
const REQUEST_TIMEOUT = 408;
/** Chunks of a byte cost a hundred times what they hold: so many are made one. */
const CHUNKS_MAX = 32;

/**
 * Reads a body, counting what really comes: a size that is not announced is bounded too. A client that stops sending
 * for `bodyIdleTimeoutMs` fails with DEADLINE_EXCEEDED (status 408), except while the receiver is the one who waits.
 */
export function receiveBody(settings: ReceptionSettings, receiver: BodyReceiver): BodyReception {
  const { incoming, plan, options, memory, delivery } = settings;
  const maxBytes = bodyBytesMax(plan, options.maxRequestBytes);
  const collected = new Collected(memory);
  let receivedBytes = 0;
  let streaming = delivery === "pieces";
  let held = false;
  const idle = setTimeout(() => {
    if (held) idle.refresh();
    else fail(slowBody(options.bodyIdleTimeoutMs), REQUEST_TIMEOUT);
  }, options.bodyIdleTimeoutMs);

  const stop = (): void => {
    clearTimeout(idle);
    collected.take();
    incoming.off("data", onData);
    incoming.off("end", onEnd);
    incoming.off(CHUNK_ANNOUNCED, onChunk);
  };
  const fail = (error: RrError, status?: number): void => {
    stop();
    receiver.failed(error, status);
  };
  // Called by the stream: what its receiver throws would end the process, and not the request alone.
  const onData = (chunk: Buffer): void => {
    try {
      received(chunk);
    } catch (thrown) {
      fail(RrError.from(thrown));
    }
  };
  const onEnd = (): void => {
    try {
      ended();
    } catch (thrown) {
      fail(RrError.from(thrown));
    }
  };
  const received = (chunk: Buffer): void => {
    receivedBytes += chunk.length;
    if (receivedBytes > maxBytes) return fail(tooLarge(plan, options.maxRequestBytes));
    idle.refresh();
    if (streaming) {
      held = !receiver.more(chunk, false);
      if (held) incoming.pause();
      return;
    }
    if (receivedBytes <= COLLECT_BYTES && collected.add(chunk)) return;
    streaming = true;
    receiver.first(Buffer.concat([collected.take(), chunk]));
  };
  const ended = (): void => {
    const whole = collected.take();
    stop();
    if (streaming) receiver.more(EMPTY_BODY, true);
    else receiver.whole(whole);
  };
  // What a chunk says of its size is as good as a length: nobody waits for the bytes.
  const onChunk = (bytes: number): void => {
    if (receivedBytes + bytes > maxBytes) fail(tooLarge(plan, options.maxRequestBytes));
  };
  incoming.on("data", onData);
  incoming.on("end", onEnd);
  incoming.on(CHUNK_ANNOUNCED, onChunk);
  return {
    resume: () => {
      held = false;
      idle.refresh();
      incoming.resume();
    },
    stop,
    get receivedBytes() {
      return receivedBytes;
    },
  };
}

/** The start of a body, while it may be all of it. */
class Collected {
  readonly #memory: BodyMemory;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(memory: BodyMemory) {
    this.#memory = memory;
  }

  /** False: the bodies of all requests together have no room for it. */
  add(chunk: Buffer): boolean {
    if (!this.#memory.hasRoom(chunk.length)) return false;
    this.#memory.heldBytes += chunk.length;
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
    if (this.#chunks.length > CHUNKS_MAX) this.#chunks = [Buffer.concat(this.#chunks)];
    return true;
  }

  take(): Buffer {
    const chunks = this.#chunks;
    this.#memory.heldBytes -= this.#bytes;
    this.#bytes = 0;
    this.#chunks = [];
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }
}

function slowBody(idleMs: number): RrError {
  return new RrError("DEADLINE_EXCEEDED", `no more of the body came for ${idleMs} ms (http.body_idle_timeout)`);
}
