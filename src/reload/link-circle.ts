import { lstatSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import { systemErrorCode } from "../errors.ts";

/**
 * Whether a path is a symbolic link to a folder that the path itself goes through, or to itself. Whoever follows it comes
 * back to where it was, again and again: with a few such links a tree of three folders has millions of paths.
 *
 * @param top where the walk begins; what is above does not matter
 */
export function leadsInCircle(path: string, top: string): boolean {
  try {
    if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return false;
    const target = realpathSync(path);
    for (
      let folder = dirname(path);
      folder.length >= top.length && folder !== dirname(folder);
      folder = dirname(folder)
    )
      if (isInside(target, realpathSync(folder))) return true;
    return false;
  } catch (thrown) {
    // A link to nothing may get its target later; one in a circle cannot even be asked for it.
    return systemErrorCode(thrown) === "ELOOP";
  }
}

/** Whether a folder is another one, or below it. */
function isInside(outer: string, inner: string): boolean {
  return inner === outer || inner.startsWith(outer.endsWith("/") ? outer : `${outer}/`);
}
