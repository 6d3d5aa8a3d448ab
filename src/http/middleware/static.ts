import type { HttpOptions, StaticOptions } from "../../config/options.ts";
import type { Log } from "../../log.ts";
import { checkFolder, Folder, type FoundFile } from "../files/folder.ts";
import { extensionOf, isPhp, requestedPath, WELL_KNOWN } from "../files/requested-path.ts";
import { sendBodiless, sendFound } from "../files/send-file.ts";
import { TopNames } from "../files/top-names.ts";
import type { Answer, Step } from "../middleware.ts";

/** `static`: serves the files of `http.static.dir`. What is no file goes on to the application. */
export function createStatic({ static: options }: HttpOptions, log: Log): Step | string {
  if (options === undefined) return "http.static is missing";
  checkFolder(options.root, "http.static.dir");
  const folder = new Folder(options, log);
  const topNames = new TopNames(options.root);
  return (scope) => {
    const { method, url } = scope.incoming;
    if (method !== "GET" && method !== "HEAD") return undefined;
    const requested = requestedPath(url ?? "/");
    if (requested === undefined) return undefined;
    if ("refused" in requested) return (sink) => sendBodiless(sink, requested.refused, []);
    const { path } = requested;
    if (!isServed(path, options, topNames)) return undefined;
    const answer = (found: FoundFile | undefined): Answer | undefined => {
      if (found !== undefined) return (sink) => sendFound(scope, sink, found, options.ranges);
      return options.notFound.includes(extensionOf(path)) ? (sink) => sendBodiless(sink, 404, []) : undefined;
    };
    const search = folder.find(path);
    return search instanceof Promise ? search.then(answer) : answer(search);
  };
}

function isServed(path: string, { index, forbid, allow, extensionless }: StaticOptions, topNames: TopNames): boolean {
  if (path === "" || path.endsWith("/")) return index.length > 0;
  const extension = extensionOf(path);
  if (isPhp(path) || forbid.includes(extension)) return false;
  if (extension !== "") return allow.length === 0 || allow.includes(extension);
  const first = path.split("/", 1)[0]!;
  if (first === WELL_KNOWN) return true;
  // Nearly always the application's: most are not even looked for.
  return extensionless && allow.length === 0 && topNames.mayHave(first);
}
