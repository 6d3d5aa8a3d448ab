import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import { ERROR_TABLE, type RrError } from "../errors.ts";
import { errorBody, HTML } from "./error-body.ts";
import type { ResponseSink } from "./response-filter.ts";

export interface ErrorResponseSettings {
  /** Status for failures of the application and of the server itself. */
  readonly internalErrorCode: number;
  /** Responses show reason and message. */
  readonly debug: boolean;
}

/** HTTP status of a failure. */
export function errorStatus(error: RrError, internalErrorCode: number): number {
  const { reason } = error;
  if (reason === "WORKER_ERROR" || reason === "INTERNAL") return internalErrorCode;
  // 499 is for logs. A client that still waits while its call was given up for it may try again.
  return reason === "CANCELLED" ? ERROR_TABLE.UNAVAILABLE.http : ERROR_TABLE[reason].http;
}

/** How a failure is told where its reason alone does not say it. */
export interface ErrorPresentation {
  /** Instead of the status of the reason. */
  readonly status?: number | undefined;
  /** Shows the message without debug too: it says nothing that only developers may know. */
  readonly explain?: boolean;
}

/**
 * Answers a request whose head was not sent yet. Without debug the body is empty, or a problem document (RFC 9457) that
 * says no more than the status if the client asks for one.
 */
export function sendErrorResponse(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  sink: ResponseSink,
  error: RrError,
  settings: ErrorResponseSettings,
  requestId: string,
  presentation: ErrorPresentation = {},
): void {
  const status = presentation.status ?? errorStatus(error, settings.internalErrorCode);
  const explain = presentation.explain ?? false;
  const [contentType, body] = errorBody({
    accept: incoming.headers.accept,
    request: `${incoming.method} ${incoming.url}`,
    status,
    error,
    debug: settings.debug,
    explain,
    requestId,
  });
  const headers = ["Content-Length", String(body.length)];
  if (contentType !== "") headers.push("Content-Type", contentType, "X-Content-Type-Options", "nosniff");
  if (contentType === HTML) headers.push("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
  const retryAfterMs = error.retryAfterMs ?? (status === 503 || status === 429 ? RETRY_AFTER_MS : undefined);
  if (retryAfterMs !== undefined) headers.push("Retry-After", String(Math.max(1, Math.ceil(retryAfterMs / 1000))));
  if (error.reason === "QUEUE_FULL" || error.reason === "QUEUE_WAIT_EXCEEDED") headers.push("No-Workers", "true");
  const unread = hasUnreadBody(incoming);
  if (unread) outgoing.shouldKeepAlive = false;
  sink.writeHead(status, headers);
  // A client that waits for "100 Continue" has sent nothing of its body and will not.
  if (unread && (incoming.headers.expect === undefined || incoming.readableDidRead))
    endAfterLinger(incoming, outgoing, sink, body);
  else sink.end(body);
}

/** A response for a connection whose request could not even be parsed. */
export function rawErrorResponse(status: number, headers: readonly string[] = []): string {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, "Connection: close", "Content-Length: 0", ...headers];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function hasUnreadBody(incoming: IncomingMessage): boolean {
  const { headers } = incoming;
  // A stream of HTTP/2 ends without its connection.
  if (incoming.httpVersionMajor >= 2) return false;
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
  return hasBody && !incoming.complete;
}

/**
 * A connection that is closed while bytes of the client are unread is reset, and the reset overtakes the response. So
 * the client gets all of the response, then a moment to notice and to stop sending.
 */
function endAfterLinger(incoming: IncomingMessage, outgoing: ServerResponse, sink: ResponseSink, body: Buffer): void {
  if (body.length > 0) sink.write(body);
  else sink.flushHeaders();
  const timer = setTimeout(() => sink.end(), LINGER_MS);
  incoming.once("end", () => sink.end());
  outgoing.once("close", () => clearTimeout(timer));
  incoming.resume();
}

export const LINGER_MS = 1000;
/** For who has to come again where nobody knows when: restarts and reloads take about so long. */
const RETRY_AFTER_MS = 1000;
