import type { Dirent, Stats } from "node:fs";
import { lstat, readdir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { birthOf, processWorld } from "../process/birth.ts";
import { judgeOwner, ownerOf } from "../process/owned-folder.ts";

/** Names of spool folders begin so. */
export const FOLDER_PREFIX = "rr-uploads-";
const OWNER_FOLDER = /^(?:\d+|own)-(?:\d+|own)$/;
const FILE = /^upload\w+$/;

/**
 * Removes the spool folders of dead processes in `base`. Only what has the names and shape of such a folder and belongs
 * to this user is touched; links are not followed. Answers whether some must be looked at again later.
 */
export async function removeLeftovers(base: string, log: Log): Promise<boolean> {
  const world = processWorld();
  let undecided = false;
  for (const name of await namesIn(base)) {
    const path = join(base, name);
    const owner = ownerOf(FOLDER_PREFIX, name);
    const stats = owner && (await statsOf(path));
    if (!stats?.isDirectory() || stats.uid !== process.getuid?.()) continue;
    const verdict = judgeOwner(owner!, stats.mtimeMs, Date.now(), world, birthOf);
    if (verdict === "undecided") undecided = true;
    if (verdict !== "dead") continue;
    const files = await removeFolder(path, log);
    const message = `removed ${files} files of uploads that a server which is gone had left in ${path}`;
    if (files !== undefined) log.info({ path, files }, message);
  }
  return undecided;
}

async function namesIn(path: string): Promise<string[]> {
  return readdir(path).catch(() => []);
}

async function statsOf(path: string): Promise<Stats | undefined> {
  return lstat(path).catch(() => undefined);
}

/**
 * Removes a spool folder; says how many files were in it, or undefined if it could not be removed, which is logged.
 * Name by name, not recursively: the folders inside belong to the users of workers, who may have put anything there.
 * They cannot be exchanged for links meanwhile, since the one around them belongs to this user.
 */
export async function removeFolder(path: string, log: Log): Promise<number | undefined> {
  try {
    let files = 0;
    for (const { name } of (await entriesOf(path)).filter((one) => one.isDirectory() && OWNER_FOLDER.test(one.name)))
      files += await removeOwned(join(path, name));
    await ignoringAbsence(rmdir(path));
    return files;
  } catch (thrown) {
    log.warn({ path }, `cannot remove the folder of uploads ${path}: ${(thrown as Error).message}`);
    return undefined;
  }
}

async function removeOwned(folder: string): Promise<number> {
  const files = (await entriesOf(folder)).filter((one) => FILE.test(one.name) && !one.isDirectory());
  for (const { name } of files) await ignoringAbsence(unlink(join(folder, name)));
  await ignoringAbsence(rmdir(folder));
  return files.length;
}

async function entriesOf(path: string): Promise<Dirent[]> {
  return readdir(path, { withFileTypes: true }).catch((thrown: unknown) => {
    if (systemErrorCode(thrown) === "ENOENT") return [];
    throw thrown;
  });
}

async function ignoringAbsence(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (thrown) {
    if (systemErrorCode(thrown) !== "ENOENT") throw thrown;
  }
}
