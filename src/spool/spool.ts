import { randomBytes } from "node:crypto";
import { accessSync, constants, statSync } from "node:fs";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FloodLimit } from "../async/flood-limit.ts";
import { type Clock, systemClock } from "../clock.ts";
import { RrError, systemErrorCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { Spill } from "./spill.ts";
import { CREATE_FLAGS, SpoolFile, STORED } from "./spool-file.ts";
import { type FileOwner, SpoolFolder } from "./spool-folder.ts";

export interface SpoolSettings {
  /** The folder that this process makes its own one in. Absolute; undefined: the system's for temporary files. */
  readonly directory: string | undefined;
  /** Bytes of all files at a time; 0: as many as the disk takes. */
  readonly bytesMax: number;
}

export interface FileListener {
  /** Bytes that were written. */
  wrote(bytes: number): void;
  /** It is complete, or cannot be written; not after it was removed. */
  stored(file: SpoolFile): void;
}

/** Bytes of all files together that may wait for the disk. */
const WAITING_BYTES_MAX = 32 * 1024 * 1024;

/**
 * @param key the setting that names the folder
 * @throws RrError CONFIG_INVALID: it is no folder that this process can make files in
 */
export function checkSpoolDirectory(path: string, key: string): void {
  const refuse = (problem: string): RrError =>
    new RrError("CONFIG_INVALID", `${key}: ${path} ${problem}, or name another folder for temporary files`, {
      metadata: { path },
    });
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw refuse("does not exist: create it");
  if (!stats.isDirectory()) throw refuse("is no folder: put one in its place");
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (thrown) {
    throw refuse(`cannot be written by this user (${(thrown as Error).message}): change its mode or owner`);
  }
}

/** Files that could not be kept are told of once a second. */
const FAILURES = { burst: 1, intervalMs: 1_000 };

export interface SpoolFailure {
  /** The system's words. */
  readonly problem: string;
  /** Where the file would have been. */
  readonly folder: string;
  /** How many others failed since the last one that was told of. */
  readonly others: number;
}

/** Keeps what comes with requests in temporary files until the requests are over. */
export class Spool {
  readonly #folder: SpoolFolder;
  readonly #bytesMax: number;
  readonly #files = new Set<SpoolFile>();
  readonly #spills: Spill[] = [];
  readonly #failures: FloodLimit<string>;
  #failedFiles = 0;
  #waitingBytes = 0;
  #keptBytes = 0;
  #roomWaiters: (() => void)[] = [];
  #emptyWaiters: (() => void)[] = [];

  /** @param failed hears of files that could not be kept, once a second at most */
  constructor(
    { directory: base = tmpdir(), bytesMax }: SpoolSettings,
    log: Log,
    failed: (failure: SpoolFailure) => void = () => {},
  ) {
    this.#bytesMax = bytesMax === 0 ? Number.POSITIVE_INFINITY : bytesMax;
    this.#folder = new SpoolFolder(base, log);
    this.#failures = new FloodLimit(systemClock, FAILURES, (problem, others) => {
      const count = others === 0 ? "" : `, and ${others} more`;
      log.error(
        { event: "spool.failed", folder: base, left_out: others || undefined },
        `a file of a request cannot be kept in ${base}: ${problem}${count}; free space there, or set http.uploads.dir`,
      );
      failed({ problem, folder: base, others });
    });
  }

  /** Files that could not be kept since the server started. */
  get failedFiles(): number {
    return this.#failedFiles;
  }

  /** Removes what dead processes left. Never fails. */
  clean(): Promise<void> {
    return this.#folder.clean();
  }

  /** Files that have not been removed. */
  get files(): number {
    return this.#files.size;
  }

  /** Bytes that wait for slow readers. */
  get waitingBytes(): number {
    return this.#spills.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Bytes of all files that have not been removed. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** A file for the workers. Problems show by `SpoolFile.error` when it is stored. */
  file(owner: FileOwner, listener: FileListener): SpoolFile {
    return this.#add(owner, false, listener);
  }

  /** A file that only this process can read. */
  namelessFile(listener: FileListener): SpoolFile {
    return this.#add({}, true, listener);
  }

  /**
   * A place for bytes that wait for slow readers; closed with the spool.
   *
   * @param bytesMax of all that waits there
   * @param problem the disk refused something
   */
  spill(bytesMax: number, problem: (thrown: unknown) => void, clock: Clock = systemClock): Spill {
    const open = () => this.openNameless();
    const spill = new Spill({ open, bytesMax, monotonicMs: () => clock.monotonicMs(), problem });
    this.#spills.push(spill);
    return spill;
  }

  /** An empty file without a name: gone when it is closed. Rejects with the system's error. */
  async openNameless(): Promise<FileHandle> {
    try {
      return await this.#createNameless();
    } catch (thrown) {
      if (systemErrorCode(thrown) !== "ENOENT") throw thrown;
      this.#folder.forget();
      return this.#createNameless();
    }
  }

  async #createNameless(): Promise<FileHandle> {
    const path = join(this.#folder.ofOwner({}), `upload${randomBytes(12).toString("hex")}`);
    const handle = await open(path, CREATE_FLAGS, 0o600);
    await unlink(path).catch(() => {});
    return handle;
  }

  /** Undefined while there is room for more; else settles when there is some. Whoever feeds files waits for it. */
  get room(): Promise<void> | undefined {
    if (this.#waitingBytes < WAITING_BYTES_MAX) return undefined;
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Removes all files and the folder. */
  async close(): Promise<void> {
    await Promise.all(this.#spills.map((spill) => spill.close()));
    for (const file of this.#files) file.remove();
    if (this.#files.size > 0) await new Promise<void>((resolve) => this.#emptyWaiters.push(resolve));
    await this.#folder.remove();
  }

  #add(owner: FileOwner, nameless: boolean, listener: FileListener): SpoolFile {
    const settings = {
      folder: () => this.#folder.ofOwner(owner),
      retry: () => this.#folder.forget(),
      owner,
      nameless,
    };
    let keptBytes = 0;
    const file = new SpoolFile(settings, {
      refused: (bytes) => {
        if (this.#keptBytes + bytes > this.#bytesMax)
          return `uploads have the ${this.#bytesMax} bytes that all of them may have at a time (http.uploads.max_spool_size)`;
        keptBytes += bytes;
        this.#keptBytes += bytes;
        return undefined;
      },
      came: (bytes) => this.#count(bytes),
      wrote: (bytes) => {
        this.#count(-bytes);
        listener.wrote(bytes);
      },
      stored: (stored) => {
        if (stored.error !== STORED) this.#failed(stored);
        listener.stored(stored);
      },
      removed: (removed) => {
        this.#keptBytes -= keptBytes;
        this.#files.delete(removed);
        if (this.#files.size === 0) for (const waiter of this.#emptyWaiters.splice(0)) waiter();
      },
    });
    this.#files.add(file);
    return file;
  }

  #failed({ problem }: SpoolFile): void {
    this.#failedFiles++;
    this.#failures.add("", problem);
  }

  #count(bytes: number): void {
    this.#waitingBytes += bytes;
    if (this.#waitingBytes < WAITING_BYTES_MAX) for (const waiter of this.#roomWaiters.splice(0)) waiter();
  }
}
