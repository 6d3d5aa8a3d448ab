import { statSync } from "node:fs";
import { type FSWatcher, watch } from "chokidar";

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
  readonly found: (dir: string) => void;
}

/** Longest wait for the first look at all files; the server starts all the same. */
const READY_LIMIT_MS = 10_000;
/** Folders that are not there are asked for so often at most. */
const SEARCH_MS_MIN = 500;

/** Watches folders, those too that are not there yet; by looking at the files if the system refuses to tell. */
export class FileWatcher {
  readonly #options: FileWatcherOptions;
  readonly #watchers = new Set<FSWatcher>();
  readonly #missing = new Set<string>();
  readonly #search: NodeJS.Timeout;
  #polling: boolean;
  #closed = false;

  constructor(options: FileWatcherOptions) {
    this.#options = options;
    this.#polling = options.polling;
    this.#search = setInterval(() => this.#searchMissing(), Math.max(SEARCH_MS_MIN, options.intervalMs)).unref();
  }

  /** By looking at the files. */
  get polling(): boolean {
    return this.#polling;
  }

  /** Resolves when changes are seen. */
  async start(): Promise<void> {
    const there = this.#options.dirs.filter((dir) => isFolder(dir));
    for (const dir of this.#options.dirs) if (!there.includes(dir)) this.#lost(dir);
    await this.#watch(there, false);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#search);
    await Promise.all([...this.#watchers].map((watcher) => watcher.close()));
  }

  /** @param isNew the files that are there count as changed */
  async #watch(dirs: readonly string[], isNew: boolean): Promise<void> {
    if (dirs.length === 0 || this.#closed) return;
    const { intervalMs, ignored, changed, failed } = this.#options;
    const polling = this.#polling;
    const watcher = watch([...dirs], {
      usePolling: polling,
      interval: intervalMs,
      ignoreInitial: !isNew,
      ignored: (path, stats) => ignored(path, stats?.isDirectory() ?? false),
    });
    this.#watchers.add(watcher);
    for (const kind of ["add", "change", "unlink"] as const) watcher.on(kind, changed);
    watcher.on("unlinkDir", (dir) => {
      if (!dirs.includes(dir) || !this.#watchers.has(watcher)) return;
      watcher.unwatch(dir);
      this.#lost(dir);
    });
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, READY_LIMIT_MS);
      watcher.on("ready", resolve);
      watcher.on("error", (thrown) => {
        // Once it is given up, what else it says does not matter.
        if (!this.#watchers.has(watcher)) return;
        if (polling) failed(String(thrown));
        else void this.#poll(watcher, dirs, String(thrown)).then(resolve);
      });
    });
    clearTimeout(timer);
  }

  async #poll(refused: FSWatcher, dirs: readonly string[], reason: string): Promise<void> {
    this.#watchers.delete(refused);
    if (!this.#polling) this.#options.refused(reason);
    this.#polling = true;
    await refused.close();
    await this.#watch(
      dirs.filter((dir) => !this.#missing.has(dir)),
      false,
    );
  }

  #lost(dir: string): void {
    if (this.#missing.has(dir)) return;
    this.#missing.add(dir);
    this.#options.missing(dir);
  }

  #searchMissing(): void {
    for (const dir of this.#missing) {
      if (!isFolder(dir)) continue;
      this.#missing.delete(dir);
      this.#options.found(dir);
      void this.#watch([dir], true);
    }
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
