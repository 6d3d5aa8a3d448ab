import type { FileHandle } from "node:fs/promises";
import { preferredEncoding } from "../accept-encoding.ts";
import { drained, endResponse } from "../end-response.ts";
import type { RequestScope } from "../request-scope.ts";
import type { ResponseSink } from "../response-filter.ts";
import { type ByteRange, byteRange } from "./byte-range.ts";
import type { FoundFile } from "./folder.ts";
import { conditionalStatus, rangeApplies } from "./preconditions.ts";
import { identityOf, type StoredFile } from "./stored-file.ts";

/** Answers GET or HEAD with a file: all of it, a part, or that the client has it already. */
export function sendFound(scope: RequestScope, sink: ResponseSink, found: FoundFile, ranges: boolean): void {
  const { headers, method } = scope.incoming;
  const range = ranges && method === "GET" ? headers.range : undefined;
  const file =
    range === undefined ? chosenEncoding(found, headers["accept-encoding"] as string | undefined) : found.file;
  const status = isConditional(headers) ? conditionalStatus(headers, file) : 200;
  if (status !== 200) return sendBodiless(sink, status, status === 304 ? notModifiedHeaders(file.headers) : []);
  const part = range === undefined || !rangeApplies(headers, file) ? "whole" : byteRange(range, file.size);
  if (part === "unsatisfiable")
    return sendBodiless(sink, 416, ["Content-Range", `bytes */${file.size}`, ...notModifiedHeaders(file.headers)]);
  if (part === "whole") return sendWhole(scope, sink, file);
  sendPart(scope, sink, file, part);
}

function chosenEncoding({ file, encoded }: FoundFile, header: string | undefined): StoredFile {
  if (encoded.length === 0) return file;
  const encoding = preferredEncoding(
    header,
    encoded.map((one) => one.encoding!),
  );
  return encoded.find((one) => one.encoding === encoding) ?? file;
}

function isConditional(headers: RequestScope["incoming"]["headers"]): boolean {
  return (
    headers["if-none-match"] !== undefined ||
    headers["if-modified-since"] !== undefined ||
    headers["if-match"] !== undefined ||
    headers["if-unmodified-since"] !== undefined
  );
}

/** What caches need; the length of a 304 would be that of the file. */
export function notModifiedHeaders(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < headers.length; at += 2)
    if (!/^content-/i.test(headers[at]!)) kept.push(headers[at]!, headers[at + 1]!);
  return kept;
}

export function sendBodiless(sink: ResponseSink, status: number, headers: string[]): void {
  sink.writeHead(status, status === 304 ? headers : [...headers, "Content-Length", "0"]);
  sink.end();
}

function sendWhole(scope: RequestScope, sink: ResponseSink, file: StoredFile): void {
  const { incoming, outgoing } = scope;
  if (incoming.method === "HEAD") {
    sink.writeHead(200, file.wholeHeaders);
    sink.end();
  } else if (file.body === undefined) void sendOpened(scope, sink, 200, file, { first: 0, last: file.size - 1 });
  else {
    scope.writtenBytes = file.size;
    sink.writeHead(200, file.wholeHeaders);
    if (sink === outgoing && file.text !== undefined) outgoing.end(file.text, "latin1");
    else endResponse(sink, scope, file.body);
  }
}

function sendPart(scope: RequestScope, sink: ResponseSink, file: StoredFile, range: ByteRange): void {
  if (file.body === undefined) return void sendOpened(scope, sink, 206, file, range);
  const part = file.body.subarray(range.first, range.last + 1);
  scope.writtenBytes = part.length;
  sink.writeHead(206, partHeaders(file, range));
  endResponse(sink, scope, part);
}

function partHeaders({ headers, size }: Pick<StoredFile, "headers" | "size">, { first, last }: ByteRange): string[] {
  return [...headers, "Content-Range", `bytes ${first}-${last}/${size}`, "Content-Length", String(last - first + 1)];
}

/** A large file may be gone or another one by now: what was found is only said if it is still true. */
async function sendOpened(
  scope: RequestScope,
  sink: ResponseSink,
  status: 200 | 206,
  file: StoredFile,
  range: ByteRange,
): Promise<void> {
  const opened = await file.open().catch(() => undefined);
  if (opened === undefined || identityOf(opened.stats) !== file.identity) {
    await opened?.handle.close();
    return sendBodiless(sink, 503, ["Retry-After", "1"]);
  }
  sink.writeHead(status, status === 206 ? partHeaders(file, range) : file.wholeHeaders);
  await streamFile(scope, sink, opened.handle, range);
}

const CHUNK_BYTES = 256 * 1024;

/** Sends a part of an open file as fast as the client takes it, and closes it. */
export async function streamFile(
  scope: RequestScope,
  sink: ResponseSink,
  handle: FileHandle,
  { first, last }: ByteRange,
): Promise<void> {
  const { outgoing } = scope;
  let buffer: Buffer | undefined;
  try {
    for (let at = first; at <= last && !outgoing.destroyed; ) {
      const length = Math.min(CHUNK_BYTES, last + 1 - at);
      buffer ??= Buffer.allocUnsafeSlow(length);
      const { bytesRead } = await handle.read(buffer, 0, length, at);
      // It was cut off meanwhile. The client sees that less came than was announced.
      if (bytesRead === 0) return void outgoing.destroy();
      at += bytesRead;
      scope.writtenBytes += bytesRead;
      const room = sink.write(bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead));
      if (!room && at <= last) await drained(sink, scope);
      // Once the socket has taken all, the memory is free again. What else a sink does with it, only that one knows.
      if (room || sink !== outgoing) buffer = undefined;
    }
    if (!outgoing.destroyed) endResponse(sink, scope);
  } catch {
    outgoing.destroy();
  } finally {
    await handle.close();
  }
}
