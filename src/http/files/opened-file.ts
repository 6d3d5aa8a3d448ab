import { constants, type Stats } from "node:fs";
import { type FileHandle, lstat, open, readlink, realpath, stat } from "node:fs/promises";

/** A plain file that is open, and where it was then, whatever its path leads to by now. */
export interface OpenedFile {
  readonly handle: FileHandle;
  readonly stats: Stats;
  /** Without symbolic links. */
  readonly realPath: string;
}

/** A file that takes the place of another one while it is looked at is looked at again. */
const ATTEMPTS = 3;

/**
 * Opens a plain file, and nothing else: devices may act when they are opened, and pipes wait for their other end. What
 * may be sent is decided by the file that is open: between a look at a path and its opening, a folder on the way may have
 * been exchanged for a link.
 *
 * @returns undefined if there is none
 * @throws the system's error if it cannot be opened
 */
export async function openPlainFile(path: string): Promise<OpenedFile | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (!(await stat(path)).isFile()) return undefined;
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | (constants.O_NOCTTY ?? 0));
    try {
      const stats = await handle.stat();
      if (stats.isFile()) {
        const realPath = await placeOf(handle, stats, path);
        if (realPath !== undefined) return { handle, stats, realPath };
      }
    } catch (thrown) {
      await handle.close();
      throw thrown;
    }
    await handle.close();
  }
  return undefined;
}

/** Where an open file is; undefined if it is nowhere any more, or somewhere else by now. */
async function placeOf(handle: FileHandle, stats: Stats, path: string): Promise<string | undefined> {
  if (process.platform === "linux")
    try {
      const place = await readlink(`/proc/self/fd/${handle.fd}`);
      // The system says so in the text; another file may have this very name.
      return place.endsWith(" (deleted)") && !(await isAt(place, stats)) ? undefined : place;
    } catch {
      // There is no /proc.
    }
  const place = await realpath(path);
  return (await isAt(place, stats)) && (await realpath(path)) === place ? place : undefined;
}

async function isAt(path: string, { dev, ino }: Stats): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found?.dev === dev && found.ino === ino;
}
