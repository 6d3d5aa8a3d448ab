import { statSync } from "node:fs";
import { join, sep } from "node:path";
import { type FSWatcher, watch } from "chokidar";
import { every } from "../async/every.ts";
import { systemErrorCode } from "../errors.ts";
import { leadsInCircle } from "./link-circle.ts";

export interface FileWatcherOptions {
  readonly dirs: readonly string[];
  readonly intervalMs: number;
  readonly polling: boolean;
  readonly ignored: (path: string, isFolder: boolean) => boolean;
  readonly changed: (path: string) => void;
  /** The system does not watch (no handles left, a file system that cannot): files are looked at from now on. */
  readonly refused: (reason: string) => void;
  readonly failed: (reason: string) => void;
  /** A folder is not there, at the start or any more. */
  readonly missing: (dir: string) => void;
  /** It is there now, and watched. */
  readonly found: (dir: string) => void;
}

/** Longest wait for the first look at all files; the server starts all the same. */
const READY_LIMIT_MS = 10_000;
/** What the system says when it watches nothing more; anything else is about one path. */
const REFUSALS = ["ENOSPC", "EMFILE", "ENFILE", "ENOSYS", "ENOMEM"];
const TOLD_MAX = 100;
/** How often at most it is looked whether folders are there. */
const SEARCH_MS_MIN = 500;

/** A folder that is there. */
interface Watched {
  /** Another folder of the same name has another. */
  readonly identity: string;
  readonly watcher: FSWatcher;
}

/**
 * Watches folders, by looking at the files if the system refuses to tell. Whether the folders themselves are there is
 * looked at by interval: the system tells only of what is in a folder that is there, and reliably of nothing else.
 */
export class FileWatcher {
  readonly #options: FileWatcherOptions;
  readonly #watchers = new Set<FSWatcher>();
  readonly #watched = new Map<string, Watched>();
  readonly #missing = new Set<string>();
  readonly #ended = new AbortController();
  /** Of what cannot be watched: each is told once. */
  readonly #told = new Set<string>();
  #polling: boolean;
  #closed = false;

  constructor(options: FileWatcherOptions) {
    this.#options = options;
    this.#polling = options.polling;
    every(
      Math.max(SEARCH_MS_MIN, options.intervalMs),
      this.#ended.signal,
      () => this.#look(true),
      (thrown) => this.#failed(thrown),
    );
  }

  /** By looking at the files. */
  get polling(): boolean {
    return this.#polling;
  }

  /** Resolves when changes are seen. */
  start(): Promise<void> {
    return this.#look(false);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#ended.abort();
    await Promise.all([...this.#watchers].map((watcher) => watcher.close()));
  }

  /** @param isNew the files of folders that are found count as changed */
  async #look(isNew: boolean): Promise<void> {
    const found: string[] = [];
    for (const dir of this.#options.dirs) {
      const identity = identityOf(dir);
      const known = this.#watched.get(dir);
      if (known !== undefined && known.identity !== identity) this.#lose(dir, known.watcher);
      if (identity === undefined) this.#miss(dir);
      else if (!this.#watched.has(dir)) found.push(dir);
    }
    for (const dir of found) this.#missing.delete(dir);
    await this.#watch(found, isNew);
    if (isNew && !this.#closed) for (const dir of found) this.#options.found(dir);
  }

  #miss(dir: string): void {
    if (this.#missing.has(dir)) return;
    this.#missing.add(dir);
    this.#options.missing(dir);
  }

  /** Its files are gone. The watcher still knows those whose end it has not noticed. */
  #lose(dir: string, watcher: FSWatcher): void {
    this.#watched.delete(dir);
    for (const [folder, names] of Object.entries(watcher.getWatched()))
      if (folder === dir || folder.startsWith(dir + sep))
        for (const name of names) this.#options.changed(join(folder, name));
    watcher.unwatch(dir);
  }

  async #watch(dirs: readonly string[], isNew: boolean): Promise<void> {
    if (dirs.length === 0 || this.#closed) return;
    const { intervalMs, ignored, changed } = this.#options;
    const polling = this.#polling;
    const topOf = (path: string) => dirs.find((dir) => path.startsWith(dir + sep)) ?? path;
    const watcher = watch([...dirs], {
      usePolling: polling,
      interval: intervalMs,
      ignoreInitial: !isNew,
      ignored: (path, stats) => ignored(path, stats?.isDirectory() ?? false) || leadsInCircle(path, topOf(path)),
    });
    this.#watchers.add(watcher);
    for (const dir of dirs) this.#watched.set(dir, { identity: identityOf(dir) ?? "", watcher });
    for (const kind of ["add", "change", "unlink"] as const) watcher.on(kind, changed);
    // Numbers are used again: another folder may have that of the one that is gone.
    watcher.on("unlinkDir", (dir) => {
      if (this.#watched.get(dir)?.watcher === watcher) this.#lose(dir, watcher);
    });
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, READY_LIMIT_MS);
      watcher.on("ready", resolve);
      watcher.on("error", (thrown) => {
        // Once it is given up, what else it says does not matter.
        if (!this.#watchers.has(watcher)) return;
        if (polling || !REFUSALS.includes(systemErrorCode(thrown) ?? "")) this.#failed(thrown);
        else void this.#poll(watcher, String(thrown)).then(resolve, (error) => this.#failed(error));
      });
    });
    clearTimeout(timer);
  }

  /** Something cannot be watched; the rest is. */
  #failed(thrown: unknown): void {
    const reason = String(thrown);
    if (this.#told.has(reason) || this.#told.size >= TOLD_MAX) return;
    this.#told.add(reason);
    this.#options.failed(reason);
  }

  async #poll(refused: FSWatcher, reason: string): Promise<void> {
    this.#watchers.delete(refused);
    if (!this.#polling) this.#options.refused(reason);
    this.#polling = true;
    const dirs = [...this.#watched].filter(([, { watcher }]) => watcher === refused).map(([dir]) => dir);
    await refused.close();
    await this.#watch(dirs, false);
  }
}

/** Undefined: there is nothing of this name that can be watched now: a link in a circle, a share that is away. */
function identityOf(path: string): string | undefined {
  try {
    const stats = statSync(path);
    // A file of a new number is a change like others.
    return stats.isDirectory() ? `${stats.dev}:${stats.ino}` : "file";
  } catch {
    return undefined;
  }
}
