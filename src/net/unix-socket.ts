import { chmodSync, chownSync, linkSync, lstatSync, renameSync, rmSync, type Stats, unlinkSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { connect } from "node:net";
import { basename, dirname, join } from "node:path";
import { systemErrorCode } from "../errors.ts";
import { UNIX_PATH_BYTES_MAX } from "./address.ts";
import { describeSocketOwner } from "./port-owner.ts";

/** Who may connect. */
export interface SocketRights {
  /** 0o600: this user alone. */
  readonly mode: number;
  /** Numeric; absent: those of this process. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** "free": nothing is there. "stale": a socket that nobody listens on. "other": what must not be touched, in words. */
export type PathState =
  | { readonly state: "free" | "stale" }
  | { readonly state: "live" | "other"; readonly problem: string };

/** Something is at the path that must not be touched: the message says what. */
export class PathTaken extends Error {}

/** What is at a path where a socket shall be. */
export async function lookAtSocketPath(path: string): Promise<PathState> {
  const stats = statsOf(path);
  if (!stats) return { state: "free" };
  if (!stats.isSocket()) return { state: "other", problem: `there is ${kindOf(stats)}, which is not touched` };
  switch (await connectionError(path)) {
    case "ECONNREFUSED":
      return { state: "stale" };
    case "ENOENT":
      return { state: "free" };
    case "EACCES":
    case "EPERM":
      return { state: "other", problem: `there is a socket of another user (uid ${stats.uid}), which is not touched` };
    default:
      // A full queue of connections, or a socket of another kind: somebody is there.
      return { state: "live", problem: `it is in use${describeSocketOwner(path)}` };
  }
}

/** A socket in the file system that this process made. */
export class PlacedSocket {
  readonly path: string;
  /** Nobody else can have the number while this process holds the socket. */
  readonly #inode: string;

  constructor(path: string) {
    this.path = path;
    this.#inode = inodeOf(statsOf(path)) ?? "";
  }

  /** Whether it is still what is at its path. */
  get isInPlace(): boolean {
    return inodeOf(statsOf(this.path)) === this.#inode;
  }

  /** Removes it, unless something else has its place. */
  remove(): void {
    if (this.isInPlace) rmSync(this.path, { force: true });
  }
}

let made = 0;

/**
 * Makes a socket and puts it at a path, with its rights from the first moment at which others can find it. What a server
 * that is gone left there is replaced; anything else is refused by name.
 *
 * It is bound under another name in the same folder first: then neither two servers that start at once, nor libuv, which
 * removes the name that a socket was bound to when it closes, can take away the socket of somebody else.
 *
 * @param bind listens at the path that it is given
 * @throws what `bind` throws, or PathTaken with what is at the path
 */
export async function placeSocket(
  path: string,
  rights: SocketRights,
  bind: (temporaryPath: string) => Promise<void>,
): Promise<PlacedSocket> {
  await makeRoom(path);
  const temporary = temporaryName(path);
  if (temporary === undefined || process.platform === "win32") {
    await bind(path);
    grant(path, rights);
    return new PlacedSocket(path);
  }
  await removeTemporaryOnes(path);
  try {
    await boundFor(rights, () => bind(temporary));
    grant(temporary, rights);
    await moveInto(path, temporary);
  } finally {
    rmSync(temporary, { force: true });
  }
  return new PlacedSocket(path);
}

/** Where binding is done at once, nobody else can connect before the rights are set. */
function boundFor({ mode }: SocketRights, bind: () => Promise<void>): Promise<void> {
  const before = process.umask(0o777 & ~mode);
  try {
    return bind();
  } finally {
    process.umask(before);
  }
}

function grant(path: string, { mode, uid, gid }: SocketRights): void {
  chmodSync(path, mode);
  if (uid !== undefined || gid !== undefined) chownSync(path, uid ?? -1, gid ?? -1);
}

/** Rejects if something lives at the path; what is left of a dead server goes. */
async function makeRoom(path: string): Promise<void> {
  const found = await removeStaleSocket(path);
  if ("problem" in found) throw new PathTaken(found.problem);
}

/** Removes a socket that nobody listens on, and nothing else. Settles with what was found. */
export async function removeStaleSocket(path: string): Promise<PathState> {
  const before = stateOf(path);
  const found = await lookAtSocketPath(path);
  // Another server may have put its own there meanwhile.
  if (found.state === "stale" && stateOf(path) === before) unlinkSync(path);
  return found;
}

async function moveInto(path: string, temporary: string, isSecond = false): Promise<void> {
  try {
    // Unlike a renamed file, a link never takes the place of something.
    linkSync(temporary, path);
  } catch (thrown) {
    const code = systemErrorCode(thrown);
    if (code !== "EEXIST") return renameSync(temporary, path);
    if (isSecond) throw new PathTaken("another server has just taken it");
    await makeRoom(path);
    await moveInto(path, temporary, true);
  }
}

/** What a server left that was killed while it made the socket. One that lives is listened on, or gone in a moment. */
async function removeTemporaryOnes(path: string): Promise<void> {
  const folder = dirname(path);
  for (const name of await readdir(folder).catch(() => [])) {
    const pid = temporaryOwner(path, name);
    if (pid === undefined || (pid !== process.pid && isThere(pid))) continue;
    const found = await lookAtSocketPath(join(folder, name));
    if (found.state === "stale") rmSync(join(folder, name), { force: true });
  }
}

function temporaryOwner(path: string, name: string): number | undefined {
  const own = `${basename(path)}.`;
  const match = name.startsWith(own) ? /^(\d+)(?:-\d+)?$/.exec(name.slice(own.length)) : null;
  return match ? Number(match[1]) : undefined;
}

/** Signal 0 asks. A process of another user may not be signalled, but is there. */
export function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return systemErrorCode(thrown) !== "ESRCH";
  }
}

/** Undefined: there is no name that is short enough. */
function temporaryName(path: string): string | undefined {
  made++;
  const number = `${process.pid}${made === 1 ? "" : `-${made}`}`;
  const names = [`${path}.${number}`, join(dirname(path), `.${number}`)];
  return names.find((name) => Buffer.byteLength(name) <= UNIX_PATH_BYTES_MAX);
}

/** What connecting fails with; undefined: somebody accepts. */
function connectionError(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", (error) => resolve(systemErrorCode(error) ?? "UNKNOWN"));
  });
}

function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (thrown) {
    // A part of the path is no folder, or may not be entered: whoever binds says so.
    if (["ENOTDIR", "EACCES", "ELOOP"].includes(systemErrorCode(thrown) ?? "")) return undefined;
    throw thrown;
  }
}

function inodeOf(stats: Stats | undefined): string | undefined {
  return stats && `${stats.dev}:${stats.ino}`;
}

/** What tells a file from a later one: the numbers of inodes are used again. */
function stateOf(path: string): string {
  if (!statsOf(path)) return "";
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats ? `${stats.dev}:${stats.ino}:${stats.ctimeNs}` : "";
}

function kindOf(stats: Stats): string {
  if (stats.isFile()) return "a file";
  if (stats.isDirectory()) return "a folder";
  if (stats.isSymbolicLink()) return "a symbolic link";
  if (stats.isFIFO()) return "a named pipe";
  return "a device";
}
