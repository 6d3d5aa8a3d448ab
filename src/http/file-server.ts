import { type Clock, systemClock } from "../clock.ts";
import type { FileServerFolder, FileServerOptions } from "../config/options.ts";
import type { Log } from "../log.ts";
import { createAccessLog } from "./access-log.ts";
import { addFilter, responseSink } from "./answer.ts";
import { checkFolder, Folder, type FoundFile } from "./files/folder.ts";
import { requestedPath } from "./files/requested-path.ts";
import { sendBodiless, sendFound } from "./files/send-file.ts";
import { headProblem } from "./head-rules.ts";
import { inTurn, type Listener, type ListenTarget, openListener, shown } from "./listener.ts";
import { compressionFilter } from "./middleware/compression.ts";
import { RequestScope } from "./request-scope.ts";
import { type FrontendCounts, FrontendStatistics } from "./statistics.ts";

export interface FileServerSettings {
  readonly options: FileServerOptions;
  readonly log: Log;
  readonly listen: ListenTarget;
  readonly clock?: Clock;
}

export interface FileServer extends Listener {
  readonly stats: () => FrontendCounts;
}

/** Requests for files are short: what `http` lets its users choose is fixed here. */
const LIMITS = {
  maxHeaderBytes: 16 * 1024,
  headersMax: 256,
  maxConnections: 0,
  headerTimeoutMs: 30_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 75_000,
};
const WRITE_IDLE_MS = 300_000;
const COMPRESSION = compressionFilter({ minBytes: 1024, encodings: ["zstd", "br", "gzip"] });

interface ServedFolder {
  readonly options: FileServerFolder;
  readonly folder: Folder;
}

/**
 * Serves the folders of `fileserver`, without PHP.
 *
 * @throws RrError FAILED_PRECONDITION: the address is in use or may not be used; CONFIG_INVALID: a folder is not there
 */
export async function startFileServer({
  options,
  log,
  listen,
  clock = systemClock,
}: FileServerSettings): Promise<FileServer> {
  const statistics = new FrontendStatistics();
  const services = {
    accessLog: createAccessLog(log, false),
    statistics,
    clock,
    writeIdleTimeoutMs: WRITE_IDLE_MS,
    draining: false,
  };
  const folders = options.folders.map((folder): ServedFolder => {
    checkFolder(folder.root, "fileserver.serve");
    return { options: folder, folder: new Folder(folder, log) };
  });
  const { address, close } = await openListener({
    target: listen,
    addressKey: "fileserver.address",
    limits: LIMITS,
    handle: (incoming, outgoing) =>
      inTurn(outgoing, () => {
        const scope = new RequestScope(services, incoming, outgoing);
        const problem = headProblem(incoming, LIMITS.headersMax);
        if (problem === undefined) return serve(scope, folders, log);
        outgoing.shouldKeepAlive = false;
        sendBodiless(responseSink(scope), problem.status, []);
      }),
    statistics,
    log,
    state: services,
  });
  log.info({ event: "fileserver.listening", host: address.host, port: address.port }, `Files on ${shown(address)}`);
  return { address, stats: () => statistics.counts(), close };
}

function serve(scope: RequestScope, folders: readonly ServedFolder[], log: Log): void {
  answer(scope, folders).catch((error: Error) => {
    log.error({ event: "fileserver.failed", request_id: scope.requestId, stack: error.stack }, error.message);
    scope.outgoing.destroy();
  });
}

async function answer(scope: RequestScope, folders: readonly ServedFolder[]): Promise<void> {
  const { method, url = "/" } = scope.incoming;
  const refuse = (status: number, headers: string[] = []) => sendBodiless(responseSink(scope), status, headers);
  if (method !== "GET" && method !== "HEAD") return refuse(405, ["Allow", "GET, HEAD"]);
  const requested = requestedPath(url);
  if (requested === undefined) return refuse(404);
  if ("refused" in requested) return refuse(requested.refused);
  for (const { options, folder } of folders) {
    const path = pathBelow(options.prefix, `/${requested.path}`);
    if (path === undefined) continue;
    const search = folder.find(path);
    const found = search instanceof Promise ? await search : search;
    if (found !== undefined) return send(scope, found, options);
    // Links in an index page are relative to the folder, not to what it is in.
    if (path !== "" && !path.endsWith("/") && (await folder.find(`${path}/`)) !== undefined)
      return refuse(301, ["Location", encodeURI(`/${requested.path}/`)]);
  }
  refuse(404);
}

function send(scope: RequestScope, found: FoundFile, { compress, ranges }: FileServerFolder): void {
  if (compress) addFilter(scope, COMPRESSION);
  sendFound(scope, responseSink(scope), found, ranges);
}

/** "a/b.css" of "/static/a/b.css" below "/static"; undefined if the path is not below. */
function pathBelow(prefix: string, path: string): string | undefined {
  if (path === prefix) return "";
  return path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : undefined;
}
