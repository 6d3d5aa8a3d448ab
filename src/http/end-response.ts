import type { RequestScope } from "./request-scope.ts";
import type { ResponseSink } from "./response-filter.ts";

/** Bodies up to here leave in one write with the head. */
const JOINED_BODY_BYTES = 16 * 1024;

/** Ends a response and sees to it that a client that reads no more does not keep it forever. */
export function endResponse(sink: ResponseSink, { outgoing, services }: RequestScope, body?: Uint8Array): void {
  // Node joins head and body into one write only if the body is a string; Latin-1 keeps every byte as it is.
  if (sink === outgoing && body !== undefined && body.length <= JOINED_BODY_BYTES)
    outgoing.end(Buffer.from(body.buffer, body.byteOffset, body.length).toString("latin1"), "latin1");
  else sink.end(body);
  if (outgoing.writableLength > 0) outgoing.setTimeout(services.writeIdleTimeoutMs);
}

/** Resolves when there is room for more, or when the client is gone. */
export function drained(sink: ResponseSink, { outgoing, services }: RequestScope): Promise<void> {
  return new Promise((resolve) => {
    if (outgoing.destroyed) return resolve();
    const done = () => {
      outgoing.off("close", done);
      outgoing.setTimeout(0);
      resolve();
    };
    outgoing.setTimeout(services.writeIdleTimeoutMs);
    outgoing.once("close", done);
    sink.once("drain", done);
  });
}
