import { realpath } from "node:fs/promises";
import { resolve } from "node:path";
import type { HttpOptions, SendfileOptions } from "../../config/options.ts";
import { systemErrorCode } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { addFilter } from "../answer.ts";
import { byteRange } from "../files/byte-range.ts";
import { type OpenedFile, openPlainFile } from "../files/opened-file.ts";
import { isInside } from "../files/permission.ts";
import { conditionalStatus, rangeApplies } from "../files/preconditions.ts";
import { notModifiedHeaders, sendBodiless, streamFile } from "../files/send-file.ts";
import { contentTypeOf } from "../files/stored-file.ts";
import type { Step } from "../middleware.ts";
import { bytesToText } from "../percent.ts";
import type { RequestScope } from "../request-scope.ts";
import { HeadDraft, type ResponseFilter, type ResponseSink } from "../response-filter.ts";

/** `sendfile`: sends the file that the application names in X-Sendfile instead of the body that it sent. */
export function createSendfile({ sendfile }: HttpOptions, log: Log): Step {
  const filter = sendfileFilter(sendfile, log);
  return (scope) => addFilter(scope, filter);
}

function sendfileFilter(options: SendfileOptions, log: Log): ResponseFilter {
  return (head, scope) => {
    const name = head.get("x-sendfile");
    if (name === undefined) return undefined;
    return {
      kind: "replace",
      send: (sink) => {
        sendNamed(options, bytesToText(name), head, scope, sink).catch((error: Error) => {
          log.error({ event: "http.sendfile_failed", path: name, request_id: scope.requestId }, error.message);
          scope.outgoing.destroy();
        });
      },
    };
  };
}

async function sendNamed(
  options: SendfileOptions,
  name: string,
  original: HeadDraft,
  scope: RequestScope,
  sink: ResponseSink,
): Promise<void> {
  const opened = await openNamed(options, name);
  if (typeof opened === "number") return sendBodiless(sink, opened, []);
  const { handle, stats } = opened;
  const { size } = stats;
  const head = fileHead(original, name, stats.mtimeMs);
  const { incoming } = scope;
  const validators = { etag: head.get("etag"), modifiedMs: Date.parse(head.get("last-modified")!) };
  const isPlain = head.status === 200;
  const condition = isPlain ? conditionalStatus(incoming.headers, validators) : 200;
  const wanted = isPlain && incoming.method === "GET" && rangeApplies(incoming.headers, validators);
  const part = wanted ? byteRange(incoming.headers.range, size) : "whole";
  if (condition !== 200 || part === "unsatisfiable" || incoming.method === "HEAD") {
    await handle.close();
    if (condition !== 200) return sendBodiless(sink, condition, notModifiedHeaders(head.headers));
    if (part === "unsatisfiable") return sendBodiless(sink, 416, ["Content-Range", `bytes */${size}`]);
    sink.writeHead(head.status, [...head.headers, "Content-Length", String(size)]);
    sink.end();
    return;
  }
  const range = part === "whole" ? { first: 0, last: size - 1 } : part;
  if (part !== "whole") head.set("Content-Range", `bytes ${range.first}-${range.last}/${size}`);
  head.set("Content-Length", String(range.last + 1 - range.first));
  sink.writeHead(part === "whole" ? head.status : 206, head.headers);
  await streamFile(scope, sink, handle, range);
}

/** The application's head, for the file: its length is not that of the body that was dropped. */
function fileHead(original: HeadDraft, name: string, modifiedMs: number): HeadDraft {
  const head = new HeadDraft(original.status === 206 ? 200 : original.status, original.headers);
  for (const own of ["x-sendfile", "content-length", "content-range", "content-encoding", "trailer"]) head.remove(own);
  if (!head.has("content-type")) head.append("Content-Type", contentTypeOf(name));
  if (Number.isNaN(Date.parse(head.get("last-modified") ?? "")))
    head.set("Last-Modified", new Date(modifiedMs).toUTCString());
  head.set("Accept-Ranges", "bytes");
  return head;
}

/** A status if the file is not to be sent: 403 for a path that leads out of its folder, 404 for one that is no file. */
async function openNamed({ root, rootOnly }: SendfileOptions, name: string): Promise<OpenedFile | 403 | 404> {
  if (name.includes("\0")) return 404;
  if (name.split(/[/\\]/).includes("..")) return 403;
  try {
    const opened = await openPlainFile(resolve(root, name));
    if (opened === undefined) return 404;
    if (!rootOnly || isInside(await realpath(root), opened.realPath)) return opened;
    await opened.handle.close();
    return 403;
  } catch (thrown) {
    return systemErrorCode(thrown) === "EACCES" ? 403 : 404;
  }
}
