import { chmodSync, chownSync, mkdirSync, mkdtempSync } from "node:fs";
import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { self } from "../process/birth.ts";
import { ownedPrefix, TOUCH_EVERY_MS } from "../process/owned-folder.ts";
import { FOLDER_PREFIX, removeFolder, removeLeftovers } from "./leftovers.ts";

/** Who files belong to; absent ids are those of this process. */
export interface FileOwner {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * The folder of this process for files that come with requests, in one that other programs may use too:
 *
 *   <base>/rr-uploads-<world>-<pid>-<birth>-<random>/   0711: others may pass through, none but this user may list or change
 *     <uid>-<gid>/                                      0700, the owner's: moving a file away takes the right to change its folder
 *       upload<random>                                  0600, the owner's
 *
 * Its name tells whose it is, so that a later process can remove what one that was killed left behind. It is made when
 * it is first needed.
 */
export class SpoolFolder {
  readonly #base: string;
  readonly #log: Log;
  #path: string | undefined;
  readonly #ofOwners = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  /** There are folders of which nobody can say yet whether their process lives. */
  #undecided = false;

  constructor(base: string, log: Log) {
    this.#base = base;
    this.#log = log;
  }

  /** Removes what dead processes left. Never fails: what cannot be removed is logged. */
  async clean(): Promise<void> {
    this.#undecided = await removeLeftovers(this.#base, this.#log);
    if (this.#undecided) this.#keepTime();
  }

  /** Where files of an owner go. Throws the system's error if there is no such place. */
  ofOwner(owner: FileOwner): string {
    const name = `${owner.uid ?? "own"}-${owner.gid ?? "own"}`;
    const known = this.#ofOwners.get(name);
    if (known !== undefined) return known;
    const path = this.#makeOwned(name);
    chownSync(path, owner.uid ?? -1, owner.gid ?? -1);
    this.#ofOwners.set(name, path);
    return path;
  }

  /** A file could not be made: programs that tidy up temporary files may have removed folders. */
  forget(): void {
    this.#ofOwners.clear();
  }

  /** Removes the folder with all that is in it. */
  async remove(): Promise<void> {
    clearInterval(this.#timer);
    const path = this.#path;
    this.#path = undefined;
    this.#ofOwners.clear();
    if (path !== undefined) await removeFolder(path, this.#log);
  }

  #makeOwned(name: string): string {
    this.#path ??= this.#make();
    const path = join(this.#path, name);
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (thrown) {
      const code = systemErrorCode(thrown);
      if (code === "EEXIST") return path;
      if (code !== "ENOENT") throw thrown;
      this.#path = this.#make();
      return this.#makeOwned(name);
    }
    return path;
  }

  #make(): string {
    const path = mkdtempSync(join(this.#base, ownedPrefix(FOLDER_PREFIX, self())));
    chmodSync(path, 0o711);
    this.#keepTime();
    return path;
  }

  /** Processes of other containers cannot see this one; a folder that is touched lives. */
  #keepTime(): void {
    this.#timer ??= setInterval(() => void this.#minutePassed(), TOUCH_EVERY_MS).unref();
  }

  async #minutePassed(): Promise<void> {
    const now = new Date();
    if (this.#path !== undefined) await utimes(this.#path, now, now).catch(() => {});
    if (this.#undecided) await this.clean();
  }
}
