import type { Transform } from "node:stream";
import type { RequestScope } from "./request-scope.ts";

/**
 * Where a response is written: Node's own response, or what stands before it because middleware wants to change or to
 * see it. The methods are those of `ServerResponse`, so that without middleware nothing stands between.
 */
export interface ResponseSink {
  /** @param headers name, value, name, value, ... as bytes (latin1) */
  writeHead(status: number, headers: string[]): unknown;
  /** Answers whether more may come at once; if not, "drain" tells when. */
  write(chunk: Uint8Array): boolean;
  end(chunk?: Uint8Array): unknown;
  addTrailers(trailers: [name: string, value: string][]): unknown;
  flushHeaders(): unknown;
  once(event: "drain", listener: () => void): unknown;
  /** Middleware answers instead, and what is written here is dropped. */
  readonly replaced?: boolean;
}

/**
 * Changes a response on its way out. It is called once, with the final head, before anything is sent. Changes of the
 * head are made to the draft; a change of the body is what it answers.
 */
export type ResponseFilter = (head: HeadDraft, scope: RequestScope) => BodyChange | undefined;

export type BodyChange =
  /** The body is sent encoded. The head says so already; its length is seen to by whoever applies the filter. */
  | { readonly kind: "encode"; readonly encoder: BodyEncoder }
  /** The body is dropped and `send` answers instead, through the filters that are left. The head is dropped as well. */
  | { readonly kind: "replace"; readonly send: (sink: ResponseSink) => void };

export interface BodyEncoder {
  /** All of a body at once. */
  whole(body: Uint8Array, done: (error: Error | null, encoded: Uint8Array) => void): void;
  /** For a body in pieces. */
  stream(): Transform & { flush(): void };
}

/** A head on its way out. Names are found in any spelling; the lookups want them in lower case. */
export class HeadDraft {
  status: number;
  /** Name, value, name, value, ... */
  readonly headers: string[];

  constructor(status: number, headers: readonly string[]) {
    this.status = status;
    this.headers = [...headers];
  }

  /** The first value. */
  get(lowerName: string): string | undefined {
    const at = this.#find(lowerName, 0);
    return at < 0 ? undefined : this.headers[at + 1];
  }

  has(lowerName: string): boolean {
    return this.#find(lowerName, 0) >= 0;
  }

  append(name: string, value: string): void {
    this.headers.push(name, value);
  }

  /** In place of all values that there are. */
  set(name: string, value: string): void {
    this.remove(name.toLowerCase());
    this.headers.push(name, value);
  }

  remove(lowerName: string): void {
    for (let at = this.#find(lowerName, 0); at >= 0; at = this.#find(lowerName, at)) this.headers.splice(at, 2);
  }

  /** Adds to the list of request headers that the response depends on. */
  vary(name: string): void {
    const lowerName = name.toLowerCase();
    for (let at = this.#find("vary", 0); at >= 0; at = this.#find("vary", at + 2)) {
      const names = this.headers[at + 1]!.split(",").map((part) => part.trim().toLowerCase());
      if (names.includes(lowerName) || names.includes("*")) return;
    }
    const at = this.#find("vary", 0);
    if (at < 0) this.headers.push("Vary", name);
    else this.headers[at + 1] += `, ${name}`;
  }

  #find(lowerName: string, from: number): number {
    const { headers } = this;
    for (let at = from; at < headers.length; at += 2) {
      const name = headers[at]!;
      if (name.length === lowerName.length && name.toLowerCase() === lowerName) return at;
    }
    return -1;
  }
}
