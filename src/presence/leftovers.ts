import { rmSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isThere, removeStaleSocket } from "../net/unix-socket.ts";
import { isLive, readNote } from "./run-file.ts";

/** What this program makes in the folder: notes, sockets, and both under the names that they have while they are made. */
const NAME = /^[0-9a-f]{16}(?:-\d+)?\.(json|sock)(?:\.(\d+)(?:-\d+)?)?$/;

/**
 * Removes what servers have left that were killed, of other configurations too: they may never be started again. Nothing
 * that somebody listens on, or that names a process which is there, is touched.
 */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, kind, maker] = NAME.exec(name) ?? [];
    if (kind === undefined || (maker !== undefined && isThere(Number(maker)))) continue;
    const path = join(folder, name);
    if (kind === "sock") await removeStaleSocket(path);
    else if (maker !== undefined || (await isDead(path))) rmSync(path, { force: true });
  }
}

async function isDead(path: string): Promise<boolean> {
  const note = readNote(path);
  return note !== undefined && !isThere(note.pid) && !(await isLive(note)) && readNote(path)?.pid === note.pid;
}
