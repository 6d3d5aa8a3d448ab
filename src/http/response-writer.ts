import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import { TLSSocket } from "node:tls";
import type { ReplyPiece } from "../client/dispatch-client.ts";
import type { Log } from "../log.ts";
import { endResponse } from "./end-response.ts";
import { EMPTY_BODY } from "./request-body.ts";
import type { RequestScope } from "./request-scope.ts";
import type { ResponseSink } from "./response-filter.ts";
import { decodeResponseHead, PLAIN_HEAD, type ResponseHead } from "./response-head.ts";
import { StreamResponse } from "./stream-response.ts";

/** Bytes of a reply that may be on their way or wait for a slow client. */
export const WINDOW_BYTES = 256 * 1024;

/** Credit is given back in portions of this size: a stream of many small pieces must not double its messages. */
const GRANT_BYTES = WINDOW_BYTES / 4;

/** What the writer asks of the call whose reply it writes. */
export interface ReplySource {
  /** Portions in which credit is given back while much waits for slow clients; undefined: the usual ones. */
  readonly portionBytes: number | undefined;
  /** More of the reply may come. */
  grant(bytes: number): void;
  /** Nobody wants the rest. */
  abandon(): void;
}

/**
 * Writes a reply, piece by piece, as an HTTP response.
 *
 * waiting --head, more pieces--> streaming --last piece--> ended; a reply in one piece goes from waiting to ended.
 */
export class ResponseWriter {
  readonly #scope: RequestScope;
  readonly #incoming: IncomingMessage;
  readonly #outgoing: ServerResponse;
  /** Where the response is written: `#outgoing` itself unless middleware stands before it. */
  readonly #sink: ResponseSink;
  readonly #source: ReplySource;
  readonly #log: Log;
  #state: "waiting" | "streaming" | "ended" = "waiting";
  #head: ResponseHead = PLAIN_HEAD;
  /** Of the announced length; Infinity without one. */
  #remainingBytes = Number.POSITIVE_INFINITY;
  #status: number | undefined;
  #writtenBytes = 0;
  #ungrantedBytes = 0;
  #congested = false;

  constructor(scope: RequestScope, sink: ResponseSink, source: ReplySource, log: Log) {
    this.#scope = scope;
    this.#incoming = scope.incoming;
    this.#outgoing = scope.outgoing;
    this.#sink = sink;
    this.#source = source;
    this.#log = log;
  }

  /** The head went out: an error can no longer be told. */
  get started(): boolean {
    return this.#state !== "waiting";
  }

  /** What the application answered with; undefined before its head has come. */
  get status(): number | undefined {
    return this.#status;
  }

  /** Bytes of the body. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** @throws RrError if the piece's head is none; nothing was sent then */
  write(piece: ReplyPiece): void {
    if (this.#state === "ended") return;
    if (this.#state === "streaming") {
      // Later heads repeat the first one: newer PHP libraries send one with every piece.
      this.#writeBody(piece.body);
    } else {
      const head = piece.context.length === 0 ? PLAIN_HEAD : decodeResponseHead(piece.context, piece.codec);
      if (head.dropped.length > 0)
        this.#log.warn(
          { event: "http.header_dropped", names: head.dropped },
          "The worker's response had unsendable headers",
        );
      if (head.status >= 200) {
        if (!piece.more) return this.#writeWhole(head, piece.body);
        this.#start(head, piece.body);
      } else {
        // The body of an informational response has no place to go.
        this.#inform(head);
        if (!piece.more) return this.#writeWhole(PLAIN_HEAD, EMPTY_BODY);
      }
    }
    if (!piece.more) this.#finish();
    else this.#credit(piece.context.length + piece.body.length);
  }

  /** Ends a response that can no longer be completed so that the client sees it. */
  abort(): void {
    this.#state = "ended";
    // What is sent instead is not broken.
    if (this.#sink.replaced) return;
    if (isStreamResponse(this.#outgoing)) return this.#outgoing.abort();
    const { socket } = this.#outgoing;
    // What stands before the response may have taken the announced length away.
    const hasLength = this.#remainingBytes !== Number.POSITIVE_INFINITY && this.#sink === this.#outgoing;
    const endsWithConnection = !this.#outgoing.chunkedEncoding && !hasLength;
    if (socket === null) this.#outgoing.destroy();
    // Where the end of the connection is the end of the body, only a reset tells that it is not.
    // Where TLS ends without its closing message, that tells it as well; Node cannot reset such a connection.
    else if (endsWithConnection && socket instanceof TLSSocket) socket.destroy();
    else if (endsWithConnection) socket.resetAndDestroy();
    else socket.destroySoon();
  }

  #writeWhole(head: ResponseHead, body: Uint8Array): void {
    const { status, headers, trailers, contentLength } = head;
    this.#status = status;
    this.#state = "ended";
    this.#prepareConnection(head);
    if (!this.#mayHaveBody(status)) {
      // For HEAD the worker may tell the length of what GET would get, or just answer as to GET. What it sends with a
      // status that has no body is not that.
      const told = contentLength ?? (body.length > 0 && status !== 304 ? body.length : undefined);
      const length = status === 205 ? 0 : told;
      this.#sink.writeHead(status, length === undefined || status === 204 ? headers : withLength(headers, length));
      this.#sink.end();
      return;
    }
    this.#writtenBytes = body.length;
    if (this.#mayHaveTrailers(head)) {
      this.#sink.writeHead(status, withTrailerNames(headers, trailers));
      this.#sink.addTrailers(trailers);
    } else this.#sink.writeHead(status, withLength(headers, body.length));
    endResponse(this.#sink, this.#scope, body);
  }

  #start(head: ResponseHead, body: Uint8Array): void {
    const { status, headers, trailers, contentLength } = head;
    this.#status = status;
    this.#head = head;
    this.#state = "streaming";
    this.#prepareConnection(head);
    const lengthAllowed = contentLength !== undefined && status !== 204;
    if (!this.#mayHaveBody(status)) {
      const length = status === 205 ? 0 : contentLength;
      this.#sink.writeHead(status, lengthAllowed ? withLength(headers, length!) : headers);
      return this.#cut();
    }
    if (this.#mayHaveTrailers(head)) {
      // Trailers exist in chunked bodies only, which have no length.
      this.#sink.writeHead(status, withTrailerNames(headers, trailers));
    } else if (lengthAllowed) {
      this.#remainingBytes = contentLength;
      this.#sink.writeHead(status, withLength(headers, contentLength));
    } else this.#sink.writeHead(status, headers);
    if (body.length > 0) this.#writeBody(body);
    else this.#sink.flushHeaders();
  }

  #mayHaveTrailers({ trailers }: ResponseHead): boolean {
    return trailers.length > 0 && this.#incoming.httpVersion !== "1.0";
  }

  #prepareConnection(head: ResponseHead): void {
    if (head.close) this.#outgoing.shouldKeepAlive = false;
  }

  #mayHaveBody(status: number): boolean {
    return this.#incoming.method !== "HEAD" && status !== 204 && status !== 205 && status !== 304;
  }

  #writeBody(data: Uint8Array): void {
    if (data.length === 0) return;
    let chunk = data;
    if (chunk.length > this.#remainingBytes) {
      chunk = chunk.subarray(0, this.#remainingBytes);
      this.#log.warn(
        { event: "http.body_cut" },
        "The worker's response is longer than its Content-Length: the rest is cut",
      );
    }
    this.#remainingBytes -= chunk.length;
    this.#writtenBytes += chunk.length;
    if (chunk.length > 0 && !this.#sink.write(chunk) && !this.#congested) this.#awaitDrain();
    if (chunk.length < data.length) this.#cut();
  }

  #awaitDrain(): void {
    this.#congested = true;
    this.#outgoing.setTimeout(this.#scope.services.writeIdleTimeoutMs);
    this.#sink.once("drain", () => {
      this.#congested = false;
      this.#outgoing.setTimeout(0);
      this.#credit(0);
    });
  }

  /** Smaller portions are due from now on. */
  creditGathered(): void {
    this.#credit(0);
  }

  #credit(bytes: number): void {
    this.#ungrantedBytes += bytes;
    if (this.#congested || this.#ungrantedBytes === 0 || this.#state !== "streaming") return;
    if (this.#ungrantedBytes < (this.#source.portionBytes ?? GRANT_BYTES)) return;
    this.#source.grant(this.#ungrantedBytes);
    this.#ungrantedBytes = 0;
  }

  /** The response is complete before the reply is. */
  #cut(): void {
    this.#state = "ended";
    this.#sink.end();
    this.#source.abandon();
  }

  #finish(): void {
    if (this.#state !== "streaming") return;
    const isShort = this.#remainingBytes > 0 && this.#remainingBytes !== Number.POSITIVE_INFINITY;
    // Applications that name a file announce the length of that.
    if (isShort && !this.#sink.replaced) {
      this.#log.warn({ event: "http.body_short" }, "The worker's response is shorter than its Content-Length");
      return this.abort();
    }
    this.#state = "ended";
    const { trailers } = this.#head;
    if (trailers.length > 0) this.#sink.addTrailers(trailers);
    endResponse(this.#sink, this.#scope);
  }

  /**
   * Informational responses go around Node's methods, which know three of them and of 103 only the header `Link`.
   * A response that waits for an earlier one of its connection has no socket; it may do without.
   */
  #inform({ status, headers }: ResponseHead): void {
    const { socket } = this.#outgoing;
    if (status === 101) {
      this.#log.warn(
        { event: "http.upgrade_ignored" },
        "The worker answered 101, but connections cannot be handed over",
      );
      return;
    }
    if (status === 100) return;
    if (isStreamResponse(this.#outgoing)) return this.#outgoing.inform(status, headers);
    if (this.#incoming.httpVersion !== "1.1" || !socket?.writable) return;
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Informational"}\r\n`;
    for (let at = 0; at < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`;
    socket.write(`${text}\r\n`, "latin1");
  }
}

/** The type says otherwise: see `asStreamHandler`. */
function isStreamResponse(outgoing: unknown): outgoing is StreamResponse {
  return outgoing instanceof StreamResponse;
}

function withLength(headers: string[], length: number): string[] {
  return headers.concat("Content-Length", String(length));
}

function withTrailerNames(headers: string[], trailers: ResponseHead["trailers"]): string[] {
  return headers.concat("Trailer", trailers.map(([name]) => name).join(", "));
}
