import { basename, relative } from "node:path";
import type { ReloadOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import type { Pool } from "../pool/pool.ts";
import { FileWatcher } from "./file-watcher.ts";
import { GitIgnore } from "./git-ignore.ts";
import { type GitIgnored, isIgnored, poolsFor } from "./selection.ts";

export interface ReloaderParts {
  readonly pool: (name: string) => Pool;
  readonly events: EventLog;
  readonly log: Log;
}

/** Watches files and resets pools when they were still for an interval; changes during a reset lead to one more. */
export class Reloader {
  readonly #options: ReloadOptions;
  readonly #root: string;
  readonly #parts: ReloaderParts;
  readonly #git: GitIgnore;
  readonly #gitIgnored: GitIgnored;
  readonly #watcher: FileWatcher;
  /** Changed files by pool, not reset for yet. */
  readonly #changed = new Map<string, Set<string>>();
  #timer: NodeJS.Timeout | undefined;
  #resetting = false;
  #closed = false;

  constructor(options: ReloadOptions, root: string, parts: ReloaderParts) {
    this.#options = options;
    this.#root = root;
    this.#parts = parts;
    const { rules } = options;
    const dirs = [...new Set(rules.flatMap((rule) => rule.dirs))];
    this.#git = new GitIgnore([root, ...dirs]);
    this.#gitIgnored = (path, isFolder) => this.#git.ignores(path, isFolder);
    this.#watcher = new FileWatcher({
      dirs,
      intervalMs: options.intervalMs,
      polling: options.polling,
      ignored: (path, isFolder) => rules.every((rule) => isIgnored(rule, path, isFolder, this.#gitIgnored)),
      changed: (path) => this.#note(path),
      refused: (reason) =>
        this.#warn("reload.polling", `files are looked at every ${options.intervalMs} ms: ${reason}`),
      failed: (reason) => parts.log.warn({ error: reason }, `cannot watch some files: ${reason}`),
      missing: (dir) =>
        this.#warn("reload.missing", `${this.#keyOf(dir)}: ${dir} is not there; it is watched as soon as it is`),
      found: (dir) => this.#watching([dir]),
    });
  }

  /** Resolves when changes are seen. */
  async start(): Promise<void> {
    await this.#watcher.start();
    this.#watching([...new Set(this.#options.rules.flatMap(({ dirs }) => dirs))]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#watcher.close();
  }

  #watching(dirs: readonly string[]): void {
    const message = `watching ${dirs.join(", ")}${this.#watcher.polling ? " by polling" : ""}`;
    this.#parts.events.record("reload.watching", { message });
  }

  #warn(event: "reload.polling" | "reload.missing", message: string): void {
    this.#parts.log.warn({ event }, message);
    this.#parts.events.record(event, { message });
  }

  /** Where the configuration names a folder. */
  #keyOf(dir: string): string {
    return this.#options.rules.find(({ dirs }) => dirs.includes(dir))!.key;
  }

  #note(path: string): void {
    if (basename(path) === ".gitignore") this.#git.forget();
    const pools = poolsFor(this.#options.rules, path, this.#gitIgnored);
    if (pools.length === 0 || this.#closed) return;
    for (const pool of pools) this.#changed.set(pool, (this.#changed.get(pool) ?? new Set()).add(path));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#fire(), this.#options.intervalMs);
  }

  async #fire(): Promise<void> {
    // The end of the running one looks again.
    if (this.#resetting || this.#closed) return;
    this.#resetting = true;
    while (this.#changed.size > 0 && !this.#closed) {
      const changes = [...this.#changed];
      this.#changed.clear();
      await Promise.all(changes.map(([pool, paths]) => this.#reset(pool, [...paths])));
    }
    this.#resetting = false;
  }

  async #reset(name: string, paths: readonly string[]): Promise<void> {
    const { pool, events, log } = this.#parts;
    const files = paths.map((path) => relative(this.#root, path)).join(", ");
    const attributes = { files };
    events.record("reload.changed", { pool: name, message: `${files} changed`, attributes });
    log.info({ event: "reload.changed", pool: name, files }, `${files} changed: pool "${name}" is reset`);
    try {
      await pool(name).reset();
      events.record("reload.done", { pool: name, message: `pool "${name}" has the code of now`, attributes });
    } catch (thrown) {
      const { reason, message: why } = RrError.from(thrown);
      const message = `after a change of ${files} pool "${name}" keeps its old code: ${why}`;
      log.error({ event: "reload.failed", pool: name, reason, files }, message);
      events.record("reload.failed", { pool: name, reason, message, attributes });
    }
  }
}
