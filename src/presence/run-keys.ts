import { createHash } from "node:crypto";
import { realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, relative, resolve } from "node:path";

/**
 * Names under which the server of a configuration is noted down, and looked for, the surest first: by the file's real path;
 * by its folder, which stays the same when it is moved; by the path as people write it, which stays the same when a link
 * to the current release is set anew. Names of one position are of one kind.
 *
 * @param workingDirectory as the process has it, links resolved
 * @param shownDirectory the same as the shell shows it: $PWD
 */
export function runKeys(file: string, workingDirectory: string, shownDirectory: string | undefined): string[][] {
  const path = resolve(workingDirectory, file);
  const below = relative(workingDirectory, path);
  const isBelow = shownDirectory !== undefined && !below.startsWith("..") && !isAbsolute(below);
  const shown = isBelow ? [path, resolve(shownDirectory, below)] : [path];
  const real = realPath(path);
  const inode = inodeOf(dirname(real));
  const folder = inode === undefined ? [] : [keyOf("folder", `${inode}/${basename(real)}`)];
  // What leads elsewhere is the path of something else.
  const sameFile = shown.filter((one) => realPath(one) === real);
  return [[keyOf("path", real)], folder, [...new Set(sameFile)].map((one) => keyOf("shown", one))];
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function inodeOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function keyOf(kind: string, value: string): string {
  return createHash("sha256").update(`${kind} ${value}`).digest("hex").slice(0, 16);
}
