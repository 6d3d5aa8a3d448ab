import { statSync } from "node:fs";
import type { HttpOptions, StaticOptions } from "../../config/options.ts";
import { RrError } from "../../errors.ts";
import { Folder, type FoundFile } from "../files/folder.ts";
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

/** @throws RrError CONFIG_INVALID */
export function checkFolder(path: string, key: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory()) return;
  const problem = stats === undefined ? "does not exist" : "is no folder";
  throw new RrError("CONFIG_INVALID", `${key}: ${path} ${problem}: create it, or name another one`, {
    metadata: { path },
  });
}

/** Paths without extension are nearly always the application's: they are not even looked for. */
function isServed(path: string, { index, forbid, allow }: StaticOptions): boolean {
  const extension = extensionOf(path);
  if (extension === "" || path.endsWith("/")) return index.length > 0 && (path === "" || path.endsWith("/"));
  if (isPhp(path) || forbid.includes(extension)) return false;
  return allow.length === 0 || allow.includes(extension);
}
