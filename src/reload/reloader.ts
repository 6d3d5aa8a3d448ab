import { relative } from "node:path";
import { type FSWatcher, watch } from "chokidar";
import type { ReloadOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import type { Pool } from "../pool/pool.ts";
import { readGitIgnore } from "./git-ignore.ts";
import { type GitIgnored, isIgnored, poolsFor } from "./selection.ts";

export interface ReloaderParts {
  readonly pool: (name: string) => Pool;
  readonly events: EventLog;
  readonly log: Log;
}

/** Longest wait for the first look at all files; the server starts all the same. */
const READY_LIMIT_MS = 10_000;

/** Watches files and resets pools when they were still for an interval; changes during a reset lead to one more. */
export class Reloader {
  readonly #options: ReloadOptions;
  readonly #root: string;
  readonly #parts: ReloaderParts;
  readonly #gitIgnored: GitIgnored;
  /** Changed files by pool, not reset for yet. */
  readonly #changed = new Map<string, Set<string>>();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #resetting = false;
  #closed = false;

  constructor(options: ReloadOptions, root: string, parts: ReloaderParts) {
    this.#options = options;
    this.#root = root;
    this.#parts = parts;
    this.#gitIgnored = readGitIgnore(root);
  }

  /** Resolves when changes are seen. */
  async start(): Promise<void> {
    await this.#watch(this.#options.polling);
    const { dirs, polling } = { dirs: this.#dirs(), polling: this.#options.polling };
    const message = `watching ${dirs.join(", ")}${polling ? " by polling" : ""}`;
    this.#parts.events.record("reload.watching", { message });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#watcher?.close();
  }

  #dirs(): string[] {
    return [...new Set(this.#options.rules.flatMap(({ dirs }) => dirs))];
  }

  async #watch(polling: boolean): Promise<void> {
    const { rules, intervalMs } = this.#options;
    const watcher = watch(this.#dirs(), {
      usePolling: polling,
      interval: intervalMs,
      ignoreInitial: true,
      ignored: (path, stats) =>
        rules.every((rule) => isIgnored(rule, path, stats?.isDirectory() ?? false, this.#gitIgnored)),
    });
    this.#watcher = watcher;
    for (const kind of ["add", "change", "unlink"] as const) watcher.on(kind, (path) => this.#note(path));
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, READY_LIMIT_MS);
      watcher.on("ready", resolve);
      watcher.on("error", (thrown) => {
        if (!polling && watcher === this.#watcher) void this.#poll(watcher, String(thrown)).then(resolve);
        else this.#parts.log.warn({ error: String(thrown) }, `cannot watch some files: ${String(thrown)}`);
      });
    });
    clearTimeout(timer);
  }

  /** The system does not watch (no handles left, a file system that cannot): files are looked at from now on. */
  async #poll(refused: FSWatcher, reason: string): Promise<void> {
    this.#watcher = undefined;
    const message = `files are looked at every ${this.#options.intervalMs} ms: ${reason}`;
    this.#parts.log.warn({ event: "reload.polling" }, message);
    this.#parts.events.record("reload.polling", { message });
    await refused.close();
    if (!this.#closed) await this.#watch(true);
  }

  #note(path: string): void {
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
    } catch (thrown) {
      const { reason, message: why } = RrError.from(thrown);
      const message = `after a change of ${files} pool "${name}" keeps its old code: ${why}`;
      log.error({ event: "reload.failed", pool: name, reason, files }, message);
      events.record("reload.failed", { pool: name, reason, message, attributes });
    }
  }
}
