import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { StreamRequest } from "../stream-request.ts";
import { StreamResponse } from "../stream-response.ts";

/** The response of one stream. */
export class Http2Response extends StreamResponse {
  readonly #stream: ServerHttp2Stream;
  #hasTrailers = false;
  #trailers: string[] = [];

  constructor(request: StreamRequest, stream: ServerHttp2Stream) {
    super(request);
    this.#stream = stream;
    stream.once("close", () => this.destroy());
  }

  protected sendHead(status: number, headers: readonly string[], last: boolean): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const object = headerObject(headers);
    // Trailers are announced by the application's library: the stream must not end with its body then.
    this.#hasTrailers = object.trailer !== undefined && !last;
    stream.respond({ ":status": status, ...object }, { endStream: last, waitForTrailers: this.#hasTrailers });
    if (this.#hasTrailers)
      // Announced and not there, for middleware may announce what it likes: an empty frame ends the stream.
      stream.once("wantTrailers", () => stream.sendTrailers(headerObject(this.#trailers)));
    if (last) this.#endRequest();
  }

  protected sendData(chunk: Buffer, done: () => void): void {
    // A stream that is gone tells it by "close".
    this.#stream.write(chunk, () => done());
  }

  protected sendEnd(trailers: readonly [string, string][], done: () => void): void {
    const stream = this.#stream;
    if (stream.writableEnded || stream.destroyed) return done();
    this.#trailers = trailers.flat();
    stream.end(() => {
      done();
      this.#endRequest();
    });
  }

  protected sendInformation(status: number, headers: readonly string[]): void {
    const stream = this.#stream;
    if (!stream.destroyed && !stream.headersSent)
      stream.additionalHeaders({ ":status": status, ...headerObject(headers) });
  }

  protected reset(): void {
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  /** A body that nobody reads any more is asked not to be sent (RFC 9113, 8.1). */
  #endRequest(): void {
    if (!this.req.complete && !this.#stream.closed) setImmediate(() => this.#stream.close(constants.NGHTTP2_NO_ERROR));
  }
}

/** Without what concerns a connection of HTTP/1, in which HTTP/2 has no part. */
export function headerObject(headers: readonly string[]): OutgoingHttpHeaders {
  const object: OutgoingHttpHeaders = {};
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!.toLowerCase();
    if (CONNECTION_HEADERS.has(name)) continue;
    const value = headers[at + 1]!;
    const earlier = object[name];
    if (earlier === undefined || SINGLE.has(name)) object[name] = value;
    else if (Array.isArray(earlier)) earlier.push(value);
    else object[name] = [String(earlier), value];
  }
  return object;
}

const CONNECTION_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** Node refuses more than one value of these. */
const SINGLE: ReadonlySet<string> = new Set([
  "access-control-allow-credentials",
  "access-control-max-age",
  "age",
  "content-encoding",
  "content-language",
  "content-length",
  "content-location",
  "content-md5",
  "content-range",
  "content-type",
  "date",
  "dnt",
  "etag",
  "expires",
  "last-modified",
  "location",
  "max-forwards",
  "retry-after",
  "server",
  "upgrade-insecure-requests",
  "x-content-type-options",
]);
