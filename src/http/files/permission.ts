import { stat } from "node:fs/promises";
import { basename, relative, sep } from "node:path";
import type { FolderOptions } from "../../config/options.ts";
import type { Log } from "../../log.ts";
import { followOwnLinks } from "./links.ts";
import { isHidden, isPhp } from "./requested-path.ts";

/** Links that are told of; there may be any number. */
const TOLD_MAX = 20;

/** Decides which files of a folder are sent, by where they are and how they were found. */
export class Permission {
  readonly #followLinks: FolderOptions["followLinks"];
  readonly #log: Log | undefined;
  readonly #told = new Set<string>();

  constructor(followLinks: FolderOptions["followLinks"], log: Log | undefined) {
    this.#followLinks = followLinks;
    this.#log = log;
  }

  /**
   * @param realRoot the folder, without symbolic links
   * @param path below it, as it was asked for
   * @param realPath of the file that is open
   */
  async permits(realRoot: string, path: string, realPath: string): Promise<boolean> {
    if (isPhp(basename(realPath)) || isHidden([basename(realPath)])) return false;
    if (isInside(realRoot, realPath)) return !isHidden(relative(realRoot, realPath).split(sep));
    if (this.#followLinks === "never") return false;
    const owner = await stat(realRoot);
    const { linkTarget, refused, ...resolution } = await followOwnLinks(realRoot, path, owner.uid);
    // By now the path leads somewhere else: the file that is open was never there.
    if (resolution.realPath !== realPath || linkTarget === undefined) return false;
    if (isHidden(relative(linkTarget, realPath).split(sep))) return false;
    if (refused === undefined || this.#followLinks === "always") return true;
    if (refused.why === "owner") this.#tell(refused.link);
    return false;
  }

  #tell(link: string): void {
    if (this.#told.has(link) || this.#told.size >= TOLD_MAX) return;
    this.#told.add(link);
    this.#log?.warn(
      { event: "files.link_not_followed", path: link },
      `${link} leads out of its folder and is not followed: the link and what it leads to must belong to the user that ` +
        "the folder belongs to (chown them, or set follow_links)",
    );
  }
}

/** @param path both without symbolic links */
export function isInside(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
