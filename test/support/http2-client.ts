import { type ClientHttp2Session, connect, type SecureClientSessionOptions } from "node:http2";

export interface Http2Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  trailers: Record<string, string | string[] | undefined>;
  /** Heads of informational responses. */
  informed: Record<string, string | string[] | undefined>[];
  body: string;
  /** The same as it came: it may be compressed. */
  bytes: Buffer;
}

/** A session; rejects if it cannot be had. */
export function openSession(url: string, options: SecureClientSessionOptions = {}): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connect(url, options);
    session.once("error", reject);
    session.once("close", () => reject(new Error("the session was closed")));
    // The server has spoken: with TLS 1.3 a client is told of a refusal only after its own handshake.
    session.once("remoteSettings", () => {
      session.off("error", reject);
      session.on("error", () => {});
      resolve(session);
    });
  });
}

/** One request. Rejects if its stream is reset. */
export function request(
  session: ClientHttp2Session,
  headers: Record<string, string | string[]>,
  body?: string | Buffer,
): Promise<Http2Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    const answer: Http2Answer = {
      status: 0,
      headers: {},
      trailers: {},
      informed: [],
      body: "",
      bytes: Buffer.alloc(0),
    };
    const pieces: Buffer[] = [];
    stream.on("headers", (head) => answer.informed.push(head as Http2Answer["headers"]));
    stream.on("response", (head) => {
      answer.status = Number(head[":status"]);
      answer.headers = head as Http2Answer["headers"];
    });
    stream.on("trailers", (trailers) => {
      answer.trailers = trailers as Http2Answer["headers"];
    });
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("error", reject);
    stream.setTimeout(10_000, () => reject(new Error(`no answer to ${headers[":path"]}: ${JSON.stringify(answer)}`)));
    stream.on("end", () => {
      answer.bytes = Buffer.concat(pieces);
      answer.body = answer.bytes.toString("utf8");
      if (stream.rstCode === 0) resolve(answer);
    });
    stream.on("close", () => {
      if (stream.rstCode !== 0 || !stream.readableEnded) reject(new Error(`the stream was reset: ${stream.rstCode}`));
    });
    if (body !== undefined) stream.end(body);
  });
}
