import { constants, createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { systemClock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import { escapeHighBytes } from "../http1/request-line.ts";
import type { StreamHandler } from "../listener.ts";
import { type ConnectionInfo, StreamRequest } from "../stream-request.ts";
import { Http2Response } from "./http2-response.ts";
import { ResetBudget, resetLimits } from "./reset-budget.ts";
import { blameClient, isDeaf } from "./session-end.ts";

export interface Http2Settings {
  readonly maxConcurrentStreams: number;
  readonly maxHeaderBytes: number;
  readonly keepAliveTimeoutMs: number;
  /** For a request to come in; 0: no limit. */
  readonly requestTimeoutMs: number;
}

/** How long a session that is over may stay, or twice that. Looking at one takes less than a microsecond. */
const SWEEP_MS = 500;

const OWN_ENDS: ReadonlySet<number> = new Set([constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_INTERNAL_ERROR]);

interface SessionState {
  /** Requests under way. */
  streams: number;
  /** It is closing, and the last sweep found no request under way. */
  idle: boolean;
  readonly info: ConnectionInfo;
  readonly resets: ResetBudget;
  /** More requests were taken back than may be. */
  overdrawn: boolean;
}

const RESET_LIMITS = resetLimits(process.versions.node);

/** Serves connections that somebody else accepted and knows to speak HTTP/2. */
export class Http2Connections {
  readonly #server: ReturnType<typeof createServer>;
  readonly #sessions = new Map<ServerHttp2Session, SessionState>();
  readonly #settings: Http2Settings;
  readonly #handle: StreamHandler;
  #closing = false;
  #sweep: NodeJS.Timeout | undefined;

  constructor(settings: Http2Settings, handle: StreamHandler, log: Log) {
    this.#settings = settings;
    this.#handle = handle;
    this.#server = createServer({
      ...RESET_LIMITS.options,
      settings: {
        maxConcurrentStreams: settings.maxConcurrentStreams,
        maxHeaderListSize: settings.maxHeaderBytes,
        enablePush: false,
      },
      // The limit that counts is that of bytes, of which HPACK counts 32 for every header beside its text.
      maxHeaderListPairs: Math.max(128, Math.ceil(settings.maxHeaderBytes / 32)),
    });
    this.#server.on("session", (session) => this.#opened(session));
    // Node's types do not have the last argument in every version.
    const opened = (stream: ServerHttp2Stream, _headers: unknown, flags: number, rawHeaders: string[]) =>
      this.#request(stream, (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0, rawHeaders);
    this.#server.on("stream", opened as never);
    this.#server.on("sessionError", (error: Error) => log.debug({ event: "http.session_error" }, error.message));
  }

  take(socket: Duplex): void {
    this.#server.emit("connection", socket);
  }

  /** Lets the streams that are open end, and takes no further ones. */
  drain(): void {
    this.#closing = true;
    for (const session of this.#sessions.keys()) session.close();
  }

  destroy(): void {
    for (const session of this.#sessions.keys()) session.destroy();
  }

  #opened(session: ServerHttp2Session): void {
    const { remoteAddress, remotePort, localAddress, localPort } = session.socket;
    const info = { remoteAddress, remotePort, localAddress, localPort, encrypted: session.encrypted === true };
    const resets = new ResetBudget(RESET_LIMITS.own, systemClock);
    const state: SessionState = { streams: 0, idle: false, info, resets, overdrawn: false };
    this.#sessions.set(session, state);
    this.#sweep ??= setInterval(() => this.#destroyEnded(), SWEEP_MS).unref();
    session.once("close", () => this.#closed(session));
    blameClient(session);
    session.setTimeout(this.#settings.keepAliveTimeoutMs, () => {
      if (state.streams === 0) session.close();
    });
    if (this.#closing) session.close();
  }

  #closed(session: ServerHttp2Session): void {
    this.#sessions.delete(session);
    if (this.#sessions.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #destroyEnded(): void {
    for (const [session, state] of this.#sessions) {
      // A head that never ends is a stream to Node, which waits for it.
      const isOver = state.idle;
      state.idle = session.closed && state.streams === 0;
      if (isDeaf(session) || (isOver && state.idle)) session.destroy();
    }
  }

  #request(stream: ServerHttp2Stream, hasBody: boolean, pairs: readonly string[]): void {
    // A reset by the client; "close" follows.
    stream.on("error", () => {});
    const session = stream.session as ServerHttp2Session;
    const state = this.#sessions.get(session);
    if (state === undefined || state.overdrawn) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    const { maxHeaderBytes, requestTimeoutMs } = this.#settings;
    const { method, path, rawHeaders, bytes } = headOf(pairs);
    // Node's own limit counts from the moment in which the client has acknowledged it.
    if (bytes > maxHeaderBytes) return stream.respond({ ":status": 431 }, { endStream: true });
    // CONNECT has no path, and nobody here would be its other end.
    if (path === undefined || method === "CONNECT") return stream.respond({ ":status": 501 }, { endStream: true });
    state.streams++;
    stream.once("close", () => {
      state.streams--;
      // What this server has broken off itself is not the client's.
      if (OWN_ENDS.has(stream.rstCode) || state.resets.spend() || state.overdrawn) return;
      state.overdrawn = true;
      setImmediate(() => endOverdrawn(session));
    });
    const head = { httpVersion: "2.0", method, url: path, rawHeaders, connection: state.info, hasBody };
    const request = new StreamRequest(head, () => stream.resume());
    if (hasBody) {
      const late = requestTimeoutMs > 0 && setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), requestTimeoutMs);
      if (late) for (const event of ["end", "close"]) stream.once(event, () => clearTimeout(late));
      stream.pause();
      stream.on("data", (chunk: Buffer) => {
        if (!request.offer(chunk)) stream.pause();
      });
      stream.once("end", () => {
        if (!stream.aborted) request.finish();
      });
    } else {
      // Node resets a stream that nobody reads once all is written, even if its end still waits for the client's window.
      stream.resume();
    }
    stream.once("close", () => request.destroy());
    this.#handle(request, new Http2Response(request, stream));
  }
}

/**
 * To be called when nothing of the session is being read: the library is in the middle of it while streams close, and
 * Node aborts the process when their session is gone at its end.
 */
function endOverdrawn(session: ServerHttp2Session): void {
  if (session.destroyed) return;
  session.destroy(new Error("the client took back too many requests"), constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/** Pseudo headers come first. The authority is what Host is in HTTP/1, and stands above one. */
function headOf(pairs: readonly string[]): {
  method: string;
  path: string | undefined;
  rawHeaders: string[];
  bytes: number;
} {
  const rawHeaders: string[] = [];
  let bytes = 0;
  let method = "GET";
  let path: string | undefined;
  let hasAuthority = false;
  let cookies = "";
  for (let at = 0; at < pairs.length; at += 2) {
    const name = pairs[at]!;
    const value = pairs[at + 1]!;
    bytes += name.length + value.length;
    if (name === ":method") method = value;
    else if (name === ":path") path = escapeHighBytes(value);
    else if (name === ":authority") {
      hasAuthority = true;
      rawHeaders.push("Host", value);
    } else if (name === "cookie") {
      // Split for better compression, and one header to everybody else (RFC 9113, 8.2.3).
      cookies += cookies === "" ? value : `; ${value}`;
    } else if (!name.startsWith(":") && !(hasAuthority && name === "host")) rawHeaders.push(name, value);
  }
  if (cookies !== "") rawHeaders.push("cookie", cookies);
  return { method, path, rawHeaders, bytes };
}
