import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { StreamRequest } from "../stream-request.ts";
import { StreamResponse } from "../stream-response.ts";
import { encodeEnd, encodeRecord, encodeStream, ProtocolStatus, RecordType } from "./records.ts";

/** Writes a response as CGI does: "Status: 200 OK", headers, an empty line, the body. */
export class FastCgiResponse extends StreamResponse {
  readonly #socket: Socket;
  readonly #requestId: number;
  readonly #ended: (complete: boolean) => void;

  /** @param ended told when nothing more of this response will be written */
  constructor(request: StreamRequest, socket: Socket, requestId: number, ended: (complete: boolean) => void) {
    super(request);
    this.#socket = socket;
    this.#requestId = requestId;
    this.#ended = ended;
  }

  protected sendHead(status: number, headers: readonly string[]): void {
    let text = `Status: ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n`;
    for (let at = 0; at < headers.length; at += 2)
      // How the body travels to the client is the web server's business. It has no trailers to pass on either.
      if (!CONNECTION_HEADERS.has(headers[at]!.toLowerCase())) text += `${headers[at]}: ${headers[at + 1]}\r\n`;
    this.#socket.write(encodeStream(RecordType.stdout, this.#requestId, Buffer.from(`${text}\r\n`, "latin1")));
  }

  protected sendData(chunk: Buffer, done: () => void): void {
    if (chunk.length === 0 || !this.#socket.writable) return done();
    this.#socket.write(encodeStream(RecordType.stdout, this.#requestId, chunk), () => done());
  }

  protected sendEnd(_trailers: readonly [string, string][], done: () => void): void {
    done();
  }

  /** CGI has no informational responses. */
  protected sendInformation(): void {}

  /** The connection ends in the middle: that is what the web server takes for a broken response. */
  protected reset(): void {
    this.#ended(false);
  }

  override _final(done: () => void): void {
    super._final(() => {
      const end = Buffer.concat([
        encodeRecord(RecordType.stdout, this.#requestId),
        encodeEnd(this.#requestId, ProtocolStatus.requestComplete),
      ]);
      if (!this.#socket.writable) return done();
      this.#socket.write(end, () => {
        done();
        this.#ended(true);
      });
    });
  }
}

const CONNECTION_HEADERS: ReadonlySet<string> = new Set(["connection", "keep-alive", "trailer", "transfer-encoding"]);
