import type { Dirent, Stats } from "node:fs";
import { lstat, readdir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { BIRTH_UNKNOWN, birthOf, processWorld } from "../process/birth.ts";

/** Names of spool folders: world, process id, birth, random end. */
const FOLDER = /^rr-uploads-([0-9a-f]{8})-(\d+)-(\d+)-\w+$/;
const OWNER_FOLDER = /^(?:\d+|own)-(?:\d+|own)$/;
const FILE = /^upload\w+$/;
/** A process of another world touches its folder every minute; after ten without that it is taken for dead. */
const SILENCE_MS = 10 * 60_000;

export function folderPrefix(world: string, pid: number, birth: string): string {
  return `rr-uploads-${world}-${pid}-${birth}-`;
}

export type Verdict = "alive" | "dead" | "undecided";

/**
 * Whether the process that a folder is named after may still use it. Ids of processes mean nothing outside of their
 * world: other containers and machines may share the file system.
 */
export function judgeFolder(
  name: string,
  touchedMs: number,
  nowMs: number,
  world: string,
  birth: (pid: number) => string | undefined,
): Verdict | undefined {
  const match = FOLDER.exec(name);
  if (!match) return undefined;
  const [, itsWorld, pid, itsBirth] = match;
  if (itsWorld !== world) return nowMs - touchedMs > SILENCE_MS ? "dead" : "undecided";
  const present = birth(Number(pid));
  if (present === undefined) return "dead";
  if (present === BIRTH_UNKNOWN || itsBirth === BIRTH_UNKNOWN || present === itsBirth) return "alive";
  return "dead";
}

/**
 * Removes the spool folders of dead processes in `base`. Only what has the names and shape of such a folder and belongs
 * to this user is touched; links are not followed. Answers whether some must be looked at again later.
 */
export async function removeLeftovers(base: string, log: Log): Promise<boolean> {
  const world = processWorld();
  let undecided = false;
  for (const name of await namesIn(base)) {
    const path = join(base, name);
    const stats = FOLDER.test(name) ? await statsOf(path) : undefined;
    if (!stats?.isDirectory() || stats.uid !== process.getuid?.()) continue;
    const verdict = judgeFolder(name, stats.mtimeMs, Date.now(), world, birthOf);
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
