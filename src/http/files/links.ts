import type { Stats } from "node:fs";
import { lstat, readlink, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, parse, resolve, sep } from "node:path";

/** What a path leads to, and what it went through. */
export interface Resolution {
  readonly realPath: string;
  /** Where the last link led that left the folder; the rest of the path lies below it. */
  readonly linkTarget: string | undefined;
  /** A link that nobody should follow, and why. */
  readonly refused: { readonly link: string; readonly why: "owner" | "new" } | undefined;
}

/** Links on the way, as in the system. */
const LINKS_MAX = 40;
/**
 * A link that has just come may be a folder again in a moment: somebody exchanges one for the other. Links that were
 * there before this process are not new.
 */
const SETTLED_MS = 1_000;

/**
 * Follows a path below a folder name by name. A link is followed if it and what it leads to belong to the user that the
 * folder belongs to: whoever else may write there cannot have files sent that only this server may read.
 *
 * @param folder without symbolic links
 * @throws the system's error if there is nothing
 */
export async function followOwnLinks(folder: string, path: string, ownerUid: number): Promise<Resolution> {
  const left = path.split(/[/\\]/).filter((name) => name !== "" && name !== ".");
  let at = folder;
  let linkTarget: string | undefined;
  let refused: Resolution["refused"];
  let links = 0;
  while (left.length > 0) {
    const name = left.shift()!;
    if (name === "..") {
      at = dirname(at);
      continue;
    }
    const next = join(at, name);
    const stats = await lstat(next);
    if (!stats.isSymbolicLink()) {
      at = next;
      continue;
    }
    if (++links > LINKS_MAX) throw new Error(`${next}: too many links`);
    const target = await readlink(next);
    refused ??= await objection(next, stats, ownerUid);
    left.unshift(...target.split(sep).filter((part) => part !== "" && part !== "."));
    if (isAbsolute(target)) at = parse(target).root;
    linkTarget = resolve(dirname(next), target);
  }
  return { realPath: at, linkTarget, refused };
}

async function objection(link: string, stats: Stats, ownerUid: number): Promise<Resolution["refused"]> {
  const target = await stat(link);
  if (stats.uid !== ownerUid || target.uid !== ownerUid) return { link, why: "owner" };
  const isNew = stats.ctimeMs > performance.timeOrigin && Date.now() - stats.ctimeMs < SETTLED_MS;
  return isNew ? { link, why: "new" } : undefined;
}
