import { statSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { performance } from "node:perf_hooks";
import type { FolderOptions } from "../../config/options.ts";
import { RrError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { type OpenedFile, openPlainFile } from "./opened-file.ts";
import { isInside, Permission } from "./permission.ts";
import { type ContentEncoding, identityOf, readStoredFile, type StoredFile } from "./stored-file.ts";

/** A file with its compressed siblings. */
export interface FoundFile {
  readonly file: StoredFile;
  /** The smallest to be expected first. */
  readonly encoded: readonly StoredFile[];
}

interface Entry extends FoundFile {
  /** It is outside of the folder: whether it may be sent has to be asked anew each time. */
  readonly linked: boolean;
  checkedMs: number;
  encodedCheckedMs: number;
  readonly memoryBytes: number;
}

/** Memory for the content of small files, for each folder that is served. */
const MEMORY_BYTES = 32 * 1024 * 1024;
const ENTRIES_MAX = 10_000;
/** Compressed siblings come and go with deployments. */
const ENCODED_FRESH_MS = 5_000;
/** How much older a compressed sibling may seem: copies of a tree are written in any order. */
const ENCODED_AGE_MS = 2_000;

const ENCODINGS: readonly [extension: string, ContentEncoding][] = [
  [".br", "br"],
  [".zst", "zstd"],
  [".gz", "gzip"],
];

/**
 * The files of a folder, small ones with their content. What it says of a file is at most `freshMs` old. Outside of the
 * folder only that is found which `followLinks` permits, and PHP's source or what has a name with a dot at its start
 * never is.
 */
export class Folder {
  readonly #options: FolderOptions;
  readonly #permission: Permission;
  /** By path; the one that was looked at last stands last. */
  readonly #entries = new Map<string, Entry>();
  readonly #searches = new Map<string, Promise<Entry | undefined>>();
  #memoryBytes = 0;

  /** @param log is told of links that are not followed */
  constructor(options: FolderOptions, log?: Log) {
    this.#options = options;
    this.#permission = new Permission(options.followLinks, log);
  }

  /**
   * @param path as `requestedPath` gives it
   * @returns no promise if the file need not be looked at again; undefined: there is none
   */
  find(path: string): FoundFile | undefined | Promise<FoundFile | undefined> {
    const entry = this.#entries.get(path);
    // Large files are opened anyway: another look costs little there.
    if (entry?.file.body !== undefined && performance.now() - entry.checkedMs < this.#options.freshMs) return entry;
    let search = this.#searches.get(path);
    if (search === undefined) {
      search = this.#search(path, entry).finally(() => this.#searches.delete(path));
      this.#searches.set(path, search);
    }
    return search;
  }

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  async #search(path: string, known: Entry | undefined): Promise<Entry | undefined> {
    const startedMs = performance.now();
    const stats = await stat(join(this.#options.root, path)).catch(() => undefined);
    this.#forget(path);
    if (stats?.isDirectory()) return this.#index(path);
    if (!stats?.isFile() || path.endsWith("/")) return undefined;
    const stale = startedMs - (known?.encodedCheckedMs ?? 0) > ENCODED_FRESH_MS;
    if (
      known?.linked === false &&
      known.file.identity === identityOf(stats) &&
      !(stale && this.#options.precompressed)
    ) {
      known.checkedMs = startedMs;
      return this.#remember(path, known);
    }
    const entry = await this.#read(path, startedMs);
    return entry && this.#remember(path, entry);
  }

  async #index(path: string): Promise<Entry | undefined> {
    const folder = path === "" || path.endsWith("/") ? path : `${path}/`;
    // Without the slash, relative links in the page would lead somewhere else.
    if (folder !== path) return undefined;
    for (const name of this.#options.index) {
      const entry = await this.find(folder + name);
      if (entry !== undefined) return entry as Entry;
    }
    return undefined;
  }

  async #read(path: string, startedMs: number): Promise<Entry | undefined> {
    const name = basename(path);
    const opened = await this.#open(path);
    if (opened === undefined) return undefined;
    const linked = !isInside(await realpath(this.#options.root), opened.realPath);
    const siblings = this.#options.precompressed ? await this.#siblings(path) : [];
    const open = () => this.#open(path);
    const file = await readStoredFile(opened, { name, varies: siblings.length > 0, open }, this.#options);
    const encoded: StoredFile[] = [];
    for (const { sibling: openedSibling, siblingPath, encoding } of siblings) {
      const modifiedMs = file?.modifiedMs ?? 0;
      const description = { name, encoding, varies: true, modifiedMs, open: () => this.#open(siblingPath) };
      const sibling = await readStoredFile(openedSibling, description, this.#options);
      if (file && sibling && sibling.changedMs >= modifiedMs - ENCODED_AGE_MS && sibling.size < file.size)
        encoded.push(sibling);
    }
    if (file === undefined) return undefined;
    const memoryBytes = [file, ...encoded].reduce((sum, { body }) => sum + (body?.length ?? 0), 0);
    return { file, encoded, linked, checkedMs: startedMs, encodedCheckedMs: startedMs, memoryBytes };
  }

  async #siblings(path: string): Promise<{ sibling: OpenedFile; siblingPath: string; encoding: ContentEncoding }[]> {
    const found = await Promise.all(
      ENCODINGS.map(async ([extension, encoding]) => {
        const siblingPath = path + extension;
        const sibling = await this.#open(siblingPath);
        return sibling === undefined ? [] : [{ sibling, siblingPath, encoding }];
      }),
    );
    return found.flat();
  }

  /** The file, if it is one that is to be sent. */
  async #open(path: string): Promise<OpenedFile | undefined> {
    let opened: OpenedFile | undefined;
    try {
      // The root may be a link that a deployment has turned.
      const realRoot = await realpath(this.#options.root);
      opened = await openPlainFile(join(this.#options.root, path));
      if (opened !== undefined && (await this.#permission.permits(realRoot, path, opened.realPath))) return opened;
    } catch {
      // There is none, or it must not be read.
    }
    await opened?.handle.close();
    return undefined;
  }

  #remember(path: string, entry: Entry): Entry {
    this.#entries.set(path, entry);
    this.#memoryBytes += entry.memoryBytes;
    for (const [oldest] of this.#entries) {
      if (this.#memoryBytes <= MEMORY_BYTES && this.#entries.size <= ENTRIES_MAX) break;
      this.#forget(oldest);
    }
    return entry;
  }

  #forget(path: string): void {
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    this.#entries.delete(path);
    this.#memoryBytes -= entry.memoryBytes;
  }
}

/** @throws RrError CONFIG_INVALID */
export function checkFolder(path: string, key: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory()) return;
  const problem = stats === undefined ? "does not exist" : "is no folder";
  throw new RrError("CONFIG_INVALID", `${key}: ${path} ${problem}: create it, or name another one`, {
    metadata: { path },
  });
}
