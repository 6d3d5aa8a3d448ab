import { existsSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import ignore, { type Ignore } from "ignore";
import { readTextFile } from "../config/read-file.ts";

/**
 * What .gitignore files leave out, read as git reads them: that of a folder counts for all below it, a deeper one has
 * the last word, and what is in a folder that is left out cannot be brought back.
 */
export class GitIgnore {
  readonly #roots: readonly string[];
  readonly #rules = new Map<string, Ignore | undefined>();
  /** Whether a folder is left out, itself or by one above it. */
  readonly #folders = new Map<string, boolean>();

  /** @param folders absolute; with each counts the repository that it is in */
  constructor(folders: readonly string[]) {
    this.#roots = [...new Set(folders.map((folder) => repositoryOf(folder) ?? folder))];
  }

  ignores(path: string, isFolder: boolean): boolean {
    const root = this.#roots.find((one) => isBelow(one, path));
    if (root === undefined) return false;
    const parent = dirname(path);
    if (parent !== root && this.#ignoresFolder(parent)) return true;
    return isFolder ? this.#ignoresFolder(path) : this.#decide(root, path, false);
  }

  /** Files have changed: they are read again. */
  forget(): void {
    this.#rules.clear();
    this.#folders.clear();
  }

  #ignoresFolder(folder: string): boolean {
    const known = this.#folders.get(folder);
    if (known !== undefined) return known;
    const root = this.#roots.find((one) => isBelow(one, folder))!;
    const parent = dirname(folder);
    const isIgnored = (parent !== root && this.#ignoresFolder(parent)) || this.#decide(root, folder, true);
    this.#folders.set(folder, isIgnored);
    return isIgnored;
  }

  /** What the nearest file that says anything of this path says. */
  #decide(root: string, path: string, isFolder: boolean): boolean {
    for (let folder = dirname(path); ; folder = dirname(folder)) {
      const inside = relative(folder, path).split(sep).join("/");
      const verdict = this.#rulesOf(folder)?.test(isFolder ? `${inside}/` : inside);
      if (verdict?.ignored || verdict?.unignored) return verdict.ignored;
      if (folder === root) return false;
    }
  }

  #rulesOf(folder: string): Ignore | undefined {
    if (!this.#rules.has(folder)) this.#rules.set(folder, readRules(folder));
    return this.#rules.get(folder);
  }
}

function readRules(folder: string): Ignore | undefined {
  // There may be none, or one that nobody may read, or that is no file.
  const read = readTextFile(join(folder, ".gitignore"));
  return "error" in read ? undefined : ignore().add(read.text);
}

function repositoryOf(folder: string): string | undefined {
  if (existsSync(join(folder, ".git"))) return folder;
  const parent = dirname(folder);
  return parent === folder ? undefined : repositoryOf(parent);
}

function isBelow(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
