import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { RrError } from "../errors.ts";

/**
 * Keeps what a user's own middleware reads of a request's body, so that the application gets the body as well. Until
 * somebody reads, this holds nothing that the request does not hold itself.
 */
export class BodyCapture {
  readonly #incoming: IncomingMessage;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  /** To be made before anything of the body has come: in the turn in which its request does. */
  constructor(incoming: IncomingMessage, outgoing: ServerResponse, maxBytes: number) {
    this.#incoming = incoming;
    const { push, _read: read } = incoming;
    incoming.push = (chunk: Buffer | null, ...rest) => {
      if (chunk !== null) {
        this.#chunks.push(chunk);
        this.#bytes += chunk.length;
        // Whoever reads gets the error; later ones count for themselves.
        if (this.#bytes > maxBytes && incoming.listenerCount("error") > 0) incoming.emit("error", tooLarge(maxBytes));
      }
      return push.call(incoming, chunk, ...rest);
    };
    if (incoming.headers.expect === undefined || incoming.httpVersion === "1.0") return;
    let asked = false;
    incoming._read = (bytes) => {
      if (!asked && !outgoing.headersSent) outgoing.writeContinue();
      asked = true;
      read.call(incoming, bytes);
    };
  }

  /** The body from its start, whoever has read it: the request itself if nobody has. Nothing more is kept after this. */
  take(): Readable {
    const incoming = this.#incoming;
    // The methods of the prototype.
    delete (incoming as Partial<IncomingMessage>).push;
    delete (incoming as Partial<IncomingMessage>)._read;
    const chunks = this.#chunks.splice(0);
    if (!incoming.readableDidRead) return incoming;
    if (incoming.readableEnded) return Readable.from(chunks, { objectMode: false });
    throw new RrError(
      "INTERNAL",
      "middleware has read a part of the request's body and left the rest: it has to read all or nothing",
    );
  }
}

function tooLarge(maxBytes: number): RrError {
  return new RrError("PAYLOAD_TOO_LARGE", `the body has more than ${maxBytes} bytes (http.max_request_size)`);
}
