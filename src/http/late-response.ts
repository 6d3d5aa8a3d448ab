import type { RequestScope } from "./request-scope.ts";
import type { ResponseSink } from "./response-filter.ts";

/** Header of a response that a handler has written by itself. */
export const ALREADY_SENT = "x-hono-already-sent";

/** Bytes that wait for whoever takes the response; beyond it the writer is told to wait. */
const QUEUE_BYTES = 64 * 1024;
const NO_BODY_STATUSES: ReadonlySet<number> = new Set([204, 205, 304]);

/** Which response a stream is the body of: one that was handed on untouched need not be read as a stream. */
const bodies = new WeakMap<ReadableStream, LateResponse>();

/** The writer behind the body of a response, if it is one of these and nobody has read from it. */
export function lateResponseOf(body: ReadableStream | null): LateResponse | undefined {
  return body === null || body.locked ? undefined : bodies.get(body);
}

/**
 * Makes a `Response` of what is written, for middleware that wants to see one. Who sends it in the end either takes it
 * as it is (`connect`: pieces go from sink to sink), or reads it as any other stream.
 */
export class LateResponse implements ResponseSink {
  /** Settles with the head. Rejects if the client leaves before there is one. */
  readonly response: Promise<Response>;
  #resolve!: (response: Response) => void;
  #reject!: (error: Error) => void;
  /** As they were written: a `Response` has one value for each name. */
  headers: readonly string[] = [];
  readonly #create: (body: ReadableStream | null, init: ResponseInit) => Response;
  #body: ReadableStream | undefined;
  #target: ResponseSink | undefined;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #ended = false;
  #dropped = false;
  #trailers: [string, string][] = [];
  #whenDrained: (() => void) | undefined;
  /** Whoever reads the stream waits. */
  #wake: (() => void) | undefined;

  constructor(scope: RequestScope, create: (body: ReadableStream | null, init: ResponseInit) => Response) {
    this.#create = create;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    scope.outgoing.once("close", () => this.#closed());
  }

  get replaced(): boolean {
    return this.#target?.replaced ?? false;
  }

  writeHead(status: number, headers: string[]): void {
    const pairs = new Headers();
    for (let at = 0; at < headers.length; at += 2)
      // The mark is for those who write to Node's response, not for applications.
      if (headers[at]!.toLowerCase() !== ALREADY_SENT) pairs.append(headers[at]!, headers[at + 1]!);
    this.headers = headers;
    if (!NO_BODY_STATUSES.has(status)) {
      this.#body = new ReadableStream(
        { pull: (controller) => this.#pull(controller), cancel: () => this.drop() },
        { highWaterMark: 0 },
      );
      bodies.set(this.#body, this);
    }
    this.#resolve(this.#create(this.#body ?? null, { status, headers: pairs }));
  }

  write(chunk: Uint8Array): boolean {
    if (this.#dropped) return true;
    if (this.#target !== undefined) return this.#target.write(chunk);
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    this.#wake?.();
    return this.#queuedBytes < QUEUE_BYTES;
  }

  end(chunk?: Uint8Array): void {
    this.#ended = true;
    if (this.#dropped) return;
    if (this.#target !== undefined) {
      this.#target.end(chunk);
      return;
    }
    if (chunk !== undefined && chunk.length > 0) this.#queue.push(chunk);
    this.#wake?.();
  }

  addTrailers(trailers: [string, string][]): void {
    if (this.#target !== undefined) this.#target.addTrailers(trailers);
    else this.#trailers = trailers;
  }

  flushHeaders(): void {
    this.#target?.flushHeaders();
  }

  once(event: "drain", listener: () => void): void {
    if (this.#target !== undefined) this.#target.once(event, listener);
    else if (this.#dropped) queueMicrotask(listener);
    else this.#whenDrained = listener;
  }

  /** Sends all that is there and that is to come to `target`, which has the head already. */
  connect(target: ResponseSink): void {
    this.#target = target;
    if (this.#trailers.length > 0) target.addTrailers(this.#trailers);
    const last = this.#ended ? this.#queue.pop() : undefined;
    let room = true;
    for (const chunk of this.#queue) room = target.write(chunk);
    this.#queue.length = 0;
    if (this.#ended) target.end(last);
    else if (room) {
      target.flushHeaders();
      this.#drained();
    } else target.once("drain", () => this.#drained());
  }

  /** Nobody has taken the body. */
  get unused(): boolean {
    return this.#target === undefined && !this.#dropped && this.#body?.locked !== true;
  }

  /** Nobody wants the body: what comes is thrown away. */
  drop(): void {
    this.#dropped = true;
    this.#queue.length = 0;
    this.#drained();
  }

  /** Trailers of a body that is read as a stream. */
  get trailers(): readonly [string, string][] {
    return this.#trailers;
  }

  async #pull(controller: ReadableStreamDefaultController): Promise<void> {
    while (this.#queue.length === 0 && !this.#ended && !this.#dropped)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#wake = undefined;
    const chunk = this.#queue.shift();
    if (chunk === undefined) {
      if (this.#ended) controller.close();
      else controller.error(new Error("the client left before the response was complete"));
      return;
    }
    this.#queuedBytes -= chunk.length;
    controller.enqueue(chunk);
    if (this.#queuedBytes < QUEUE_BYTES) this.#drained();
  }

  #drained(): void {
    const listener = this.#whenDrained;
    this.#whenDrained = undefined;
    listener?.();
  }

  #closed(): void {
    this.#reject(new Error("the client left before there was a response"));
    if (this.#target !== undefined) return;
    this.drop();
    this.#wake?.();
  }
}
