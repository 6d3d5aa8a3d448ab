import { constants, type ServerHttp2Session } from "node:http2";

const {
  NGHTTP2_COMPRESSION_ERROR,
  NGHTTP2_ENHANCE_YOUR_CALM,
  NGHTTP2_FLOW_CONTROL_ERROR,
  NGHTTP2_FRAME_SIZE_ERROR,
  NGHTTP2_PROTOCOL_ERROR,
  NGHTTP2_STREAM_CLOSED,
} = constants;

/** What clients are told of errors that Node has from nghttp2, by nghttp2's numbers for them. */
const CODES: Readonly<Record<number, number>> = {
  [-505]: NGHTTP2_PROTOCOL_ERROR,
  [-510]: NGHTTP2_STREAM_CLOSED,
  [-522]: NGHTTP2_FRAME_SIZE_ERROR,
  [-523]: NGHTTP2_COMPRESSION_ERROR,
  [-524]: NGHTTP2_FLOW_CONTROL_ERROR,
  [-531]: NGHTTP2_PROTOCOL_ERROR,
  [-532]: NGHTTP2_PROTOCOL_ERROR,
  [-538]: NGHTTP2_ENHANCE_YOUR_CALM,
};

/**
 * Has the session end with the error that its client made. Node ends it with INTERNAL_ERROR whatever happened, as if the
 * fault were the server's.
 */
export function blameClient(session: ServerHttp2Session): void {
  const destroy = session.destroy.bind(session);
  session.destroy = (error, code) => destroy(error, code ?? codeOf(error));
}

function codeOf(error: (Error & { code?: string; errno?: number }) | undefined): number | undefined {
  if (error?.code === "ERR_HTTP2_TOO_MANY_INVALID_FRAMES") return NGHTTP2_ENHANCE_YOUR_CALM;
  return error?.code === "ERR_HTTP2_ERROR" ? CODES[error.errno ?? 0] : undefined;
}

/** Of the session's native side. Not documented, hence only here and with a way around. */
interface SessionHandle {
  /** False: nghttp2 neither reads nor writes any more, and says that the connection is to be closed then. */
  hasPendingData?(): boolean;
}

let handleKey: symbol | undefined;

/**
 * Whether all is over with a session, and nobody has told Node. It sends a GOAWAY for most of what breaks the rules, and
 * then keeps the connection with all its streams, deaf to everything, even to its end.
 */
export function isDeaf(session: ServerHttp2Session): boolean {
  handleKey ??= Object.getOwnPropertySymbols(session).find(({ description }) => description === "kHandle");
  if (handleKey === undefined || session.destroyed) return false;
  const handle = (session as unknown as Record<symbol, SessionHandle | undefined>)[handleKey];
  return handle?.hasPendingData?.() === false;
}
