import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { Codec } from "../../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import type {
  CallHandle,
  CallRequest,
  CallSink,
  DispatchClient,
  ReplyPiece,
} from "../../../src/client/dispatch-client.ts";
import type { HttpOptions } from "../../../src/config/options.ts";
import type { RrError } from "../../../src/errors.ts";
import type { MiddlewareRegistry } from "../../../src/http/middleware.ts";
import { type Frontend, startFrontend } from "../../../src/http/server.ts";
import type { Log } from "../../../src/log.ts";

export { RawConnection } from "../../support/raw-connection.ts";

/** A call as the core would see it, answered by the test. */
export class MemoryCall implements CallHandle {
  readonly request: CallRequest;
  readonly #sink: CallSink;
  readonly #bodyParts: Buffer[];
  /** What was sent of each file, by id. */
  readonly files = new Map<number, { data: Buffer; complete: boolean }>();
  #lastContext: Uint8Array | undefined;
  readonly #waiters: (() => void)[] = [];
  readonly #congested: (() => void)[] = [];
  complete: boolean;
  cancelled = false;
  ended = false;
  grantedBytes = 0;
  sentPieces = 0;
  writable = true;
  released = false;
  /** What was told of the reply. */
  readonly statuses: number[] = [];

  constructor(request: CallRequest, sink: CallSink) {
    this.request = request;
    this.#sink = sink;
    this.#bodyParts = [Buffer.from(request.body)];
    this.complete = !request.moreBody;
  }

  responded(status: number): void {
    this.statuses.push(status);
  }

  release(): void {
    this.released = true;
  }

  get body(): Buffer {
    return Buffer.concat(this.#bodyParts);
  }

  get context(): Record<string, unknown> {
    return JSON.parse(Buffer.from(this.#lastContext ?? this.request.context).toString("utf8"));
  }

  sendFile(fileId: number, data: Uint8Array, last: boolean): void {
    if (this.complete) throw new Error("a file after the body");
    const file = this.files.get(fileId) ?? { data: Buffer.alloc(0), complete: false };
    if (file.complete) throw new Error("more of a file after its end");
    this.files.set(fileId, { data: Buffer.concat([file.data, data]), complete: last });
    this.#changed();
  }

  /** As the core answers for a file. */
  store(fileId: number, stored: { path?: string; sizeBytes?: number; error?: number } = {}): void {
    const sizeBytes = this.files.get(fileId)!.data.length;
    this.#sink.stored?.({ fileId, path: `/spool/upload${fileId}`, sizeBytes, error: 0, ...stored });
  }

  sendBody(data: Uint8Array, last: boolean, context?: Uint8Array): void {
    if (this.complete) throw new Error("body after its end");
    if (context !== undefined) this.#lastContext = context;
    this.#bodyParts.push(Buffer.from(data));
    this.sentPieces++;
    this.complete = last;
    this.#changed();
  }

  grant(bytes: number): void {
    this.grantedBytes += bytes;
    this.#changed();
  }

  cancel(): void {
    if (this.ended) throw new Error("a call that has ended was cancelled");
    this.cancelled = true;
    this.#changed();
  }

  whenWritable(callback: () => void): void {
    this.#congested.push(callback);
    this.#changed();
  }

  get waitingSenders(): number {
    return this.#congested.length;
  }

  /** The stream to the core has room again. */
  uncongest(): void {
    this.writable = true;
    for (const callback of this.#congested.splice(0)) callback();
  }

  /** Resolves when the condition holds; looked at whenever the frontend does something with the call. */
  async until(condition: (call: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  head(status: number, headers: Record<string, unknown> = {}): Buffer {
    return Buffer.from(JSON.stringify({ status, headers }));
  }

  piece(piece: Partial<ReplyPiece>): void {
    const complete = {
      context: new Uint8Array(0),
      body: new Uint8Array(0),
      codec: Codec.JSON,
      more: false,
      pid: 4711,
      ...piece,
    };
    if (!complete.more) this.ended = true;
    if (!this.cancelled) this.#sink.reply(complete);
  }

  answer(status: number, headers: Record<string, unknown>, body: string | Uint8Array = ""): void {
    this.piece({ context: this.head(status, headers), body: Buffer.from(body) });
  }

  fail(error: RrError): void {
    this.ended = true;
    if (!this.cancelled) this.#sink.failed(error);
  }

  #changed(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}

/** The core's side of the dispatch stream, without a core. */
export class MemoryDispatch implements DispatchClient {
  readonly calls: MemoryCall[] = [];
  readonly #taken: ((call: MemoryCall) => void)[] = [];
  readonly #untaken: MemoryCall[] = [];
  /** Answers at once, inside `open`. */
  answerer: ((call: MemoryCall) => void) | undefined;

  get openCalls(): number {
    return this.calls.filter((call) => !call.ended && !call.cancelled).length;
  }

  open(request: CallRequest, sink: CallSink): CallHandle {
    const call = new MemoryCall(request, sink);
    this.calls.push(call);
    if (this.answerer !== undefined) this.answerer(call);
    else {
      const taker = this.#taken.shift();
      if (taker === undefined) this.#untaken.push(call);
      else taker(call);
    }
    return call;
  }

  /** The next call that is opened and that no other `next` got. */
  next(): Promise<MemoryCall> {
    const call = this.#untaken.shift();
    return call === undefined ? new Promise((resolve) => this.#taken.push(resolve)) : Promise.resolve(call);
  }

  close(): void {}
}

export interface LogLine {
  level: string;
  message: string;
  fields: Record<string, unknown>;
}

export function memoryLog(): { log: Log; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push({ level, message, fields });
  };
  const log: Log = {
    debugEnabled: true,
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => log,
  };
  return { log, lines };
}

export function httpOptions(overrides: Partial<HttpOptions> = {}): HttpOptions {
  return {
    address: { kind: "tcp", host: "127.0.0.1", port: 0 },
    tls: undefined,
    http2: { h2c: false, maxConcurrentStreams: 128 },
    fastCgi: undefined,
    user: undefined,
    group: undefined,
    pool: "http",
    routes: [],
    frontends: 1,
    internalErrorCode: 500,
    maxRequestBytes: 1024 * 1024,
    maxHeaderBytes: 16 * 1024,
    maxConnections: 100,
    headerTimeoutMs: 5_000,
    bodyIdleTimeoutMs: 5_000,
    keepAliveTimeoutMs: 5_000,
    headersMax: 4000,
    requestTimeoutMs: 0,
    writeIdleTimeoutMs: 300_000,
    formFieldsMax: 250_000,
    rawBody: false,
    uploads: {
      forbid: [".php"],
      allow: [],
      fileBytesMax: 512 * 1024,
      oversizedFiles: "refuse",
      filesMax: 50,
      fieldsMax: 100,
      fieldBytesMax: 64 * 1024,
    },
    spool: { directory: undefined, bytesMax: 0 },
    accessLogs: false,
    contextCodec: "json",
    debug: false,
    middleware: [],
    headers: undefined,
    compression: { minBytes: 1024, encodings: ["zstd", "br", "gzip"] },
    static: undefined,
    sendfile: { root: "/", rootOnly: false },
    trustedSubnets: [],
    trustedHeaders: ["Forwarded", "X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip"],
    ...overrides,
  };
}

export interface TestFrontend {
  frontend: Frontend;
  dispatch: MemoryDispatch;
  lines: LogLine[];
  port: number;
}

const started: Frontend[] = [];

/** Closed by `closeFrontends`. */
export async function testFrontend(
  overrides: Partial<HttpOptions> = {},
  middleware?: MiddlewareRegistry,
): Promise<TestFrontend> {
  const dispatch = new MemoryDispatch();
  const { log, lines } = memoryLog();
  const frontend = await startFrontend({
    options: httpOptions(overrides),
    dispatch,
    log,
    listen: { host: "127.0.0.1", port: 0 },
    ...(middleware === undefined ? {} : { middleware }),
  });
  started.push(frontend);
  return { frontend, dispatch, lines, port: frontend.address.port };
}

export async function closeFrontends(): Promise<void> {
  await Promise.all(started.splice(0).map((frontend) => frontend.close(0)));
}

export interface TestResponse {
  status: number;
  headers: IncomingHttpHeaders;
  rawHeaders: string[];
  trailers: NodeJS.Dict<string>;
  body: string;
  bytes: Buffer;
}

export interface TestRequest {
  method?: string;
  path?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Uint8Array;
}

/** Sends a request on a connection of its own. */
export async function send(port: number, { method = "GET", path = "/", headers = {}, body }: TestRequest = {}) {
  return new Promise<TestResponse>((resolve, reject) => {
    const request = httpRequest({ port, host: "127.0.0.1", method, path, headers, agent: false }, (response) => {
      readBody(response).then(
        (bytes) =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            rawHeaders: response.rawHeaders,
            trailers: response.trailers,
            body: bytes.toString("utf8"),
            bytes,
          }),
        reject,
      );
    });
    request.once("error", reject);
    request.end(body);
  });
}

async function readBody(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
