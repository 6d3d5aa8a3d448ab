import type { Socket } from "node:net";

/** What a client that knows to speak HTTP/2 sends first (RFC 9113, 3.4). No request of HTTP/1 begins like that. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Whether bytes are, are not, or may yet become the preface. */
export function looksLikeHttp2(start: Buffer): boolean | undefined {
  const length = Math.min(start.length, PREFACE.length);
  if (start.compare(PREFACE, 0, length, 0, length) !== 0) return false;
  return length === PREFACE.length ? true : undefined;
}

/** Looks at the first bytes of a connection and hands it to who speaks its protocol, the bytes included. */
export function sniffHttp2(
  socket: Socket,
  timeoutMs: number,
  http1: (socket: Socket) => void,
  http2: (socket: Socket) => void,
): void {
  const pieces: Buffer[] = [];
  const timer = setTimeout(() => decide(http1), timeoutMs);
  const decide = (take: (socket: Socket) => void): void => {
    clearTimeout(timer);
    socket.off("readable", look);
    socket.off("error", ignore);
    socket.off("close", gone);
    if (pieces.length > 0) socket.unshift(Buffer.concat(pieces));
    take(socket);
  };
  const look = (): void => {
    for (let piece = socket.read() as Buffer | null; piece !== null; piece = socket.read() as Buffer | null)
      pieces.push(piece);
    const isHttp2 = pieces.length === 0 ? undefined : looksLikeHttp2(Buffer.concat(pieces));
    if (isHttp2 !== undefined) decide(isHttp2 ? http2 : http1);
    else if (socket.readableEnded) socket.destroy();
  };
  const ignore = (): void => {};
  const gone = (): void => clearTimeout(timer);
  socket.on("error", ignore);
  socket.once("close", gone);
  socket.on("readable", look);
}
