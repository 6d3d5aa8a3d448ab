import { endResponse } from "./end-response.ts";
import type { RequestScope } from "./request-scope.ts";
import { type BodyEncoder, HeadDraft, type ResponseFilter, type ResponseSink } from "./response-filter.ts";

/**
 * Takes a response through filters, the last one first, and on to where it is sent.
 *
 * head --> waiting (an encoder is there, and the length of the body decides about it) --> streaming | ended
 *      \-> passing (no encoder) | replaced (what comes is dropped)
 */
export class FilteredResponse implements ResponseSink {
  readonly #scope: RequestScope;
  readonly #filters: readonly ResponseFilter[];
  readonly #target: ResponseSink;
  #state: "passing" | "waiting" | "streaming" | "replaced" = "passing";
  #head: HeadDraft | undefined;
  #encoder: BodyEncoder | undefined;
  #stream: ReturnType<BodyEncoder["stream"]> | undefined;

  constructor(scope: RequestScope, filters: readonly ResponseFilter[], target: ResponseSink) {
    this.#scope = scope;
    this.#filters = filters;
    this.#target = target;
  }

  get replaced(): boolean {
    return this.#state === "replaced" || this.#target.replaced === true;
  }

  writeHead(status: number, headers: string[]): void {
    const head = new HeadDraft(status, headers);
    for (let at = this.#filters.length - 1; at >= 0; at--) {
      const change = this.#filters[at]!(head, this.#scope);
      if (change?.kind === "replace") {
        this.#state = "replaced";
        change.send(new FilteredResponse(this.#scope, this.#filters.slice(0, at), this.#target));
        return;
      }
      if (change !== undefined) this.#encoder = change.encoder;
    }
    if (this.#isLast) this.#scope.filteredBytes = 0;
    if (this.#encoder === undefined) this.#target.writeHead(head.status, head.headers);
    else {
      this.#head = head;
      this.#state = "waiting";
    }
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state === "replaced") return true;
    if (this.#state === "passing") {
      this.#count(chunk);
      return this.#target.write(chunk);
    }
    if (this.#state === "waiting") this.#startStream();
    const stream = this.#stream!;
    const room = stream.write(chunk);
    // What PHP flushed, the client is to see now.
    stream.flush();
    return room;
  }

  end(chunk?: Uint8Array): void {
    if (this.#state === "replaced") return;
    if (this.#state === "passing") {
      if (chunk !== undefined) this.#count(chunk);
      endResponse(this.#target, this.#scope, chunk);
    } else if (this.#state === "streaming") this.#stream!.end(chunk);
    else if (chunk === undefined || chunk.length === 0) {
      // The answer to HEAD: what GET would get, whose length nobody knows.
      this.#head!.remove("content-length");
      this.#target.writeHead(this.#head!.status, this.#head!.headers);
      this.#target.end();
    } else this.#encodeWhole(chunk);
  }

  addTrailers(trailers: [string, string][]): void {
    if (this.#state !== "replaced") this.#target.addTrailers(trailers);
  }

  flushHeaders(): void {
    if (this.#state === "waiting") this.#startStream();
    if (this.#state !== "replaced") this.#target.flushHeaders();
  }

  once(event: "drain", listener: () => void): void {
    (this.#stream ?? this.#target).once(event, listener);
  }

  /** What this writes goes out, not to an observer. */
  get #isLast(): boolean {
    return this.#target === this.#scope.outgoing;
  }

  #count(chunk: Uint8Array): void {
    if (this.#isLast) this.#scope.filteredBytes! += chunk.length;
  }

  #encodeWhole(body: Uint8Array): void {
    const { outgoing } = this.#scope;
    const head = this.#head!;
    this.#encoder!.whole(body, (error, encoded) => {
      if (error !== null || outgoing.destroyed) {
        outgoing.destroy();
        return;
      }
      this.#count(encoded);
      // A response with trailers is sent in chunks, which have no length.
      if (head.has("trailer")) head.remove("content-length");
      else head.set("Content-Length", String(encoded.length));
      this.#target.writeHead(head.status, head.headers);
      endResponse(this.#target, this.#scope, encoded);
    });
  }

  #startStream(): void {
    const { outgoing } = this.#scope;
    const target = this.#target;
    const head = this.#head!;
    const stream = this.#encoder!.stream();
    this.#state = "streaming";
    this.#stream = stream;
    head.remove("content-length");
    target.writeHead(head.status, head.headers);
    stream.on("data", (chunk: Buffer) => {
      this.#count(chunk);
      if (target.write(chunk)) return;
      stream.pause();
      target.once("drain", () => stream.resume());
    });
    stream.once("end", () => endResponse(target, this.#scope));
    stream.once("error", () => outgoing.destroy());
    outgoing.once("close", () => stream.destroy());
  }
}
