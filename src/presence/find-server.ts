import { resolve } from "node:path";
import { isLive, notePath, type RunNote, readNote, SLOTS } from "./run-file.ts";
import { foldersToSearch, isTrusted, ownerOf, type RunSettings } from "./run-folders.ts";
import { runKeys } from "./run-keys.ts";

/**
 * Servers that run with a configuration: those that are found by the surest sign, usually one. Nothing is believed that
 * others than this user, root, or the owner of the configuration could have written.
 */
export async function findServers(
  file: string,
  workingDirectory: string,
  shownDirectory: string | undefined,
  settings: RunSettings,
): Promise<RunNote[]> {
  const owner = ownerOf(resolve(workingDirectory, file));
  const folders = foldersToSearch(settings, owner === undefined ? [] : [owner]).filter(isTrusted);
  for (const keys of runKeys(file, workingDirectory, shownDirectory)) {
    const notes = folders.flatMap(({ path }) => keys.flatMap((key) => notesIn(path, key)));
    const found: RunNote[] = [];
    for (const note of notes)
      if (!found.some(({ address }) => address === note.address) && (await isLive(note))) found.push(note);
    if (found.length > 0) return found;
  }
  return [];
}

function notesIn(folder: string, key: string): RunNote[] {
  const notes: RunNote[] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    const note = readNote(notePath(folder, key, slot));
    if (note) notes.push(note);
  }
  return notes;
}
