import type { IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";

/** What is known of the connection that a request came by; the part of a socket that requests are asked for. */
export interface ConnectionInfo {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly encrypted: boolean;
}

export interface StreamRequestHead {
  /** "2.0" */
  readonly httpVersion: string;
  readonly method: string;
  readonly url: string;
  /** Name, value, name, value, ...: bytes as latin1, with Host. */
  readonly rawHeaders: string[];
  readonly connection: ConnectionInfo;
  readonly hasBody: boolean;
}

/**
 * A request that came otherwise than as HTTP/1: a stream of HTTP/2, or FastCGI. It has what handlers and middleware use
 * of Node's `IncomingMessage`, so that there is one path for all requests.
 */
export class StreamRequest extends Readable {
  readonly httpVersion: string;
  readonly httpVersionMajor: number;
  readonly httpVersionMinor: number;
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: string[];
  readonly headers: IncomingHttpHeaders;
  readonly trailers = {};
  readonly rawTrailers: string[] = [];
  readonly socket: ConnectionInfo & { readonly destroyed: true };
  /** Whether one came with it; `complete` tells whether all of it was read. */
  readonly hasBody: boolean;
  complete: boolean;
  readonly #wanted: () => void;

  /** @param wanted called when the reader has room for more of the body */
  constructor(head: StreamRequestHead, wanted: () => void) {
    super();
    const [major, minor] = head.httpVersion.split(".");
    this.httpVersion = head.httpVersion;
    this.httpVersionMajor = Number(major);
    this.httpVersionMinor = Number(minor ?? 0);
    this.method = head.method;
    this.url = head.url;
    this.rawHeaders = head.rawHeaders;
    this.headers = headersOf(head.rawHeaders);
    // "Destroyed" to those who would end the connection: it is not one request's alone.
    this.socket = { ...head.connection, destroyed: true };
    this.hasBody = head.hasBody;
    this.complete = !head.hasBody;
    this.#wanted = wanted;
    if (!head.hasBody) this.push(null);
  }

  /** More of the body. Answers whether the reader has room for more. */
  offer(chunk: Buffer): boolean {
    return this.destroyed || this.push(chunk);
  }

  /** The body is complete. */
  finish(): void {
    if (this.complete) return;
    this.complete = true;
    this.push(null);
  }

  override _read(): void {
    this.#wanted();
  }
}

/** As Node joins them: a few headers exist once, cookies are joined with "; ", everything else with ", ". */
function headersOf(rawHeaders: readonly string[]): IncomingHttpHeaders {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    const value = rawHeaders[at + 1]!;
    const earlier = headers[name];
    if (name === "set-cookie") {
      if (earlier === undefined) headers[name] = [value];
      else (earlier as string[]).push(value);
    } else if (earlier === undefined) headers[name] = value;
    else if (!SINGLE.has(name)) headers[name] = `${earlier}${name === "cookie" ? "; " : ", "}${value}`;
  }
  return headers;
}

const SINGLE: ReadonlySet<string> = new Set([
  "authorization",
  "content-length",
  "content-type",
  "host",
  "if-modified-since",
  "if-unmodified-since",
  "referer",
  "user-agent",
]);
