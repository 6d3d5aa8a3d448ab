import type { HttpOptions, StaticOptions } from "../../config/options.ts";
import { checkFolder, Folder, type FoundFile } from "../files/folder.ts";
import { extensionOf, isPhp, requestedPath } from "../files/requested-path.ts";
import { sendBodiless, sendFound } from "../files/send-file.ts";
import type { Answer, Step } from "../middleware.ts";

/** `static`: serves the files of `http.static.dir`. What is no file goes on to the application. */
export function createStatic({ static: options }: HttpOptions): Step | string {
  if (options === undefined) return "http.static is missing";
  checkFolder(options.root, "http.static.dir");
  const folder = new Folder(options);
  return (scope) => {
    const { method, url } = scope.incoming;
    if (method !== "GET" && method !== "HEAD") return undefined;
    const requested = requestedPath(url ?? "/");
    if (requested === undefined) return undefined;
    if ("refused" in requested) return (sink) => sendBodiless(sink, requested.refused, []);
    if (!isServed(requested.path, options)) return undefined;
    const answer = (found: FoundFile | undefined): Answer | undefined =>
      found && ((sink) => sendFound(scope, sink, found, options.ranges));
    const search = folder.find(requested.path);
    return search instanceof Promise ? search.then(answer) : answer(search);
  };
}

/** Paths without extension are nearly always the application's: they are not even looked for. */
function isServed(path: string, { index, forbid, allow }: StaticOptions): boolean {
  const extension = extensionOf(path);
  if (extension === "" || path.endsWith("/")) return index.length > 0 && (path === "" || path.endsWith("/"));
  if (isPhp(path) || forbid.includes(extension)) return false;
  return allow.length === 0 || allow.includes(extension);
}
