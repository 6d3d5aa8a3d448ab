import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { every } from "../async/every.ts";
import { RrError, systemErrorCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { UNIX_PATH_BYTES_MAX } from "../net/address.ts";
import { birthOf, processWorld, self } from "./birth.ts";
import { judgeOwner, ownedPrefix, ownerOf, TOUCH_EVERY_MS } from "./owned-folder.ts";

const PREFIX = "rr-run-";
const OF_ALL_SERVERS = "/run/rrctl";
/** The longest name of a socket in the folder, with what it has behind it while it is made. */
const SOCKET_NAME_BYTES_MAX = 24;

/**
 * Where a folder for sockets and pipes can be, the best first: what a service manager made for this service, what the
 * system made for this user, what TMPDIR names, /run (nobody tidies up there while a server runs), and the system's
 * folder of temporary files.
 */
export function runBases(env: Readonly<Record<string, string | undefined>>): string[] {
  if (process.platform === "win32") return [tmpdir()];
  const [ofService = ""] = (env.RUNTIME_DIRECTORY ?? "").split(":");
  // Whoever says where temporary files go means those of the server as well.
  const rest = env.TMPDIR ? [tmpdir(), OF_ALL_SERVERS] : [OF_ALL_SERVERS, tmpdir()];
  const all = [ofService, env.XDG_RUNTIME_DIR ?? "", ...rest];
  return [...new Set(all.filter((path) => path.startsWith("/")))];
}

/**
 * The one folder of this server's run: its private socket and the names of its workers' pipes are in there, and go with
 * it. Its name tells whose it is, see `owned-folder.ts`.
 */
export class RunFolder {
  #path: string;
  readonly #bases: readonly string[];
  readonly #mode: number;
  readonly #removed = new AbortController();
  readonly #removeNow = () => rmSync(this.#path, { recursive: true, force: true });

  /**
   * @param bases where it can be, the best first
   * @param shared processes of other users have to get to what is in it: they may pass through then, not list it
   * @throws RrError FAILED_PRECONDITION: no folder can be made in any of the bases
   */
  constructor(bases: readonly string[], shared: boolean) {
    this.#bases = bases;
    this.#mode = shared ? 0o711 : 0o700;
    this.#path = this.#make();
    // A second signal ends the process at once.
    process.once("exit", this.#removeNow);
    // Processes of other containers cannot see this one, and cleaners go by age: a folder that is touched lives.
    every(
      TOUCH_EVERY_MS,
      this.#removed.signal,
      () => utimesSync(this.#path, new Date(), new Date()),
      () => {},
    );
  }

  /** Changes if the folder was removed and cannot be made again where it was. */
  get path(): string {
    return this.#path;
  }

  /** Makes it again if somebody removed it: under its name if that can be done. Throws as the constructor does. */
  restore(): void {
    try {
      mkdirSync(this.#path, { mode: this.#mode });
    } catch (thrown) {
      if (systemErrorCode(thrown) === "EEXIST" && isOurFolder(this.#path)) return;
      // What is below /run goes when its user logs out, and with it the right to make anything there.
      this.#path = this.#make();
      return;
    }
    chmodSync(this.#path, this.#mode);
  }

  #make(): string {
    const problems: string[] = [];
    for (const base of this.#bases)
      try {
        const path = makeIn(base);
        chmodSync(path, this.#mode);
        return path;
      } catch (thrown) {
        problems.push(`${base}: ${systemErrorCode(thrown) ?? (thrown as Error).message}`);
      }
    throw new RrError(
      "FAILED_PRECONDITION",
      `no folder can be made for the server's private socket and pipes (${problems.join("; ")}): set TMPDIR or ` +
        "XDG_RUNTIME_DIR to a folder that this user may write",
    );
  }

  remove(): void {
    this.#removed.abort();
    process.off("exit", this.#removeNow);
    this.#removeNow();
  }
}

function isOurFolder(path: string): boolean {
  const stats = lstatSync(path);
  return stats.isDirectory() && stats.uid === (process.getuid?.() ?? stats.uid);
}

function makeIn(base: string): string {
  if (base === OF_ALL_SERVERS) mkdirSync(base, { recursive: true, mode: 0o755 });
  if (base !== tmpdir()) checkOwner(base);
  const prefix = join(base, ownedPrefix(PREFIX, self()));
  if (Buffer.byteLength(prefix) + 7 + SOCKET_NAME_BYTES_MAX > UNIX_PATH_BYTES_MAX)
    throw new Error("its path is too long for a socket");
  return mkdtempSync(prefix);
}

/** Whoever else could write to it could take the names of what is in there. */
function checkOwner(path: string): void {
  const { uid, mode } = statSync(path);
  if (uid !== process.getuid?.()) throw new Error("it belongs to another user");
  if ((mode & 0o022) !== 0) throw new Error("others may write to it");
}

/**
 * Removes the folders of servers that were killed. Only what has the name of such a folder and belongs to this user is
 * touched; everything in it was made by its server. Never rejects.
 */
export async function removeDeadRunFolders(bases: readonly string[], log: Log): Promise<void> {
  const world = processWorld();
  for (const base of bases)
    for (const name of await readdir(base).catch(() => [])) {
      const owner = ownerOf(PREFIX, name);
      const path = join(base, name);
      const stats = owner && (await lstat(path).catch(() => undefined));
      if (!owner || !stats?.isDirectory() || stats.uid !== (process.getuid?.() ?? stats.uid)) continue;
      if (judgeOwner(owner, stats.mtimeMs, Date.now(), world, birthOf) !== "dead") continue;
      try {
        rmSync(path, { recursive: true, force: true });
        log.info({ path }, `removed ${path}, which server ${owner.pid} had left when it was killed`);
      } catch (thrown) {
        log.warn({ path }, `cannot remove ${path}, which server ${owner.pid} had left: ${(thrown as Error).message}`);
      }
    }
}
