import { Writable } from "node:stream";
import type { StreamRequest } from "./stream-request.ts";

type HeaderInput = readonly string[] | Readonly<Record<string, string | number | readonly string[]>>;

/** What a response takes before it asks to wait: who reads nothing holds so much, of each of a thousand streams. */
const HIGH_WATER_MARK_BYTES = 16 * 1024;

/**
 * The answer to a `StreamRequest`: what handlers and middleware use of Node's `ServerResponse`. Who carries it says how
 * its parts go out. It ends with "finish" when all was handed to the connection, and with "close" in any case.
 */
export abstract class StreamResponse extends Writable {
  statusCode = 200;
  statusMessage = "";
  headersSent = false;
  /** Connections of several requests do not end with one of them. */
  shouldKeepAlive = true;
  readonly chunkedEncoding = false;
  readonly req: StreamRequest;
  readonly #extra = new Map<string, [name: string, value: string]>();
  #head: string[] = [];
  #headIsOut = false;
  #trailers: [string, string][] = [];
  #stall: NodeJS.Timeout | undefined;

  constructor(request: StreamRequest) {
    super({ highWaterMark: HIGH_WATER_MARK_BYTES });
    this.req = request;
  }

  /** @param last no body follows */
  protected abstract sendHead(status: number, headers: readonly string[], last: boolean): void;
  protected abstract sendData(chunk: Buffer, done: () => void): void;
  protected abstract sendEnd(trailers: readonly [string, string][], done: () => void): void;
  protected abstract sendInformation(status: number, headers: readonly string[]): void;
  /** The response will not be complete, and the client is to see that. */
  protected abstract reset(): void;

  get socket() {
    return this.req.socket;
  }

  get connection() {
    return this.req.socket;
  }

  get finished(): boolean {
    return this.writableEnded;
  }

  get mayHaveBody(): boolean {
    const status = this.statusCode;
    return this.req.method !== "HEAD" && status !== 204 && status !== 205 && status !== 304;
  }

  writeHead(status: number, ...rest: (string | HeaderInput | undefined)[]): this {
    const given = rest.find((one): one is HeaderInput => typeof one === "object") ?? [];
    this.statusCode = status;
    this.headersSent = true;
    const headers = [...pairsOf(given)];
    const names = new Set(headers.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase()));
    for (const [lowerName, pair] of this.#extra) if (!names.has(lowerName)) headers.push(...pair);
    this.#head = headers;
    return this;
  }

  setHeader(name: string, value: string | number | readonly string[]): this {
    this.#extra.set(name.toLowerCase(), [name, Array.isArray(value) ? value.join(", ") : String(value)]);
    return this;
  }

  getHeader(name: string): string | undefined {
    return this.#extra.get(name.toLowerCase())?.[1];
  }

  hasHeader(name: string): boolean {
    return this.#extra.has(name.toLowerCase());
  }

  removeHeader(name: string): void {
    this.#extra.delete(name.toLowerCase());
  }

  flushHeaders(): void {
    if (!this.headersSent) this.writeHead(this.statusCode);
    this.#sendHead(false);
  }

  addTrailers(trailers: [string, string][]): void {
    this.#trailers = trailers;
  }

  writeContinue(): void {
    this.inform(100, []);
  }

  /** An informational response, before the head of the real one. */
  inform(status: number, headers: readonly string[]): void {
    if (!this.#headIsOut && !this.destroyed) this.sendInformation(status, headers);
  }

  /** The response ends incomplete, and the client can tell. */
  abort(): void {
    this.destroy();
  }

  /** The response is given up after so long without progress; 0: never. */
  setTimeout(timeoutMs: number): this {
    clearTimeout(this.#stall);
    this.#stall = timeoutMs > 0 ? setTimeout(() => this.destroy(), timeoutMs) : undefined;
    return this;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (!this.headersSent) this.writeHead(this.statusCode);
    this.#sendHead(false);
    if (!this.mayHaveBody) return done();
    this.sendData(chunk, () => {
      this.#stall?.refresh();
      done();
    });
  }

  override _final(done: () => void): void {
    clearTimeout(this.#stall);
    if (!this.headersSent) this.writeHead(this.statusCode);
    const hasTrailers = this.#trailers.length > 0 && this.mayHaveBody;
    if (!this.#headIsOut && !hasTrailers) {
      this.#sendHead(true);
      done();
    } else {
      this.#sendHead(false);
      this.sendEnd(hasTrailers ? this.#trailers : [], done);
    }
  }

  override _destroy(_error: Error | null, done: () => void): void {
    clearTimeout(this.#stall);
    if (!this.writableFinished) this.reset();
    // Nobody listens for errors of responses: what went wrong is told by who noticed it.
    done();
  }

  #sendHead(last: boolean): void {
    if (this.#headIsOut) return;
    this.#headIsOut = true;
    this.sendHead(this.statusCode, this.#head, last);
  }
}

function* pairsOf(headers: HeaderInput): Generator<string> {
  if (Array.isArray(headers)) return yield* headers as string[];
  for (const [name, value] of Object.entries(headers))
    for (const one of Array.isArray(value) ? value : [value]) yield* [name, String(one)];
}
