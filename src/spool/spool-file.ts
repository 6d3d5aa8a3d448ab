import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../errors.ts";

/** What became of a file: 0, or the code of PHP's UPLOAD_ERR family. */
export const STORED = 0;
export const NO_FOLDER = 6;
export const CANNOT_WRITE = 7;

export interface SpoolFileSettings {
  /** The folder for the file. Asked again, after `retry`, if it is not there any more. */
  readonly folder: () => string;
  readonly retry: () => void;
  readonly owner: { readonly uid?: number; readonly gid?: number };
  /** Nobody else needs the file: it has no name, and is gone whatever happens to this process. */
  readonly nameless: boolean;
}

export interface SpoolFileListener {
  /** Asked before bytes count: what speaks against them? The file fails for it. */
  refused(bytes: number): string | undefined;
  /** Bytes that wait for the disk now. */
  came(bytes: number): void;
  /** Bytes that wait no more: they are on the disk, or nobody wants them. */
  wrote(bytes: number): void;
  /** Once, unless the file was removed before: it is complete, or cannot be written. */
  stored(file: SpoolFile): void;
  /** Once, after `remove`: nothing of the file is left. */
  removed(file: SpoolFile): void;
}

/** Buffers of one system call, at most. */
const BUFFERS_MAX = 64;
const READ_BYTES = 256 * 1024;

/** A temporary file that is written while its bytes come in. Writes wait for the one under way; the caller bounds them. */
export class SpoolFile {
  readonly #settings: SpoolFileSettings;
  readonly #listener: SpoolFileListener;
  #path = "";
  #handle: FileHandle | undefined;
  #queue: Uint8Array[] = [];
  #working = false;
  #ended = false;
  #reported = false;
  #removed = false;
  #sizeBytes = 0;
  #error = STORED;
  #problem = "";

  constructor(settings: SpoolFileSettings, listener: SpoolFileListener) {
    this.#settings = settings;
    this.#listener = listener;
  }

  /** "" while there is none, and for a nameless file. */
  get path(): string {
    return this.#path;
  }

  /** What has been written. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get error(): number {
    return this.#error;
  }

  /** The system's words for the error. */
  get problem(): string {
    return this.#problem;
  }

  get ended(): boolean {
    return this.#ended;
  }

  write(data: Uint8Array): void {
    if (this.#removed) return;
    const problem = this.#error === STORED ? this.#listener.refused(data.length) : undefined;
    if (problem !== undefined) {
      this.#error = CANNOT_WRITE;
      this.#problem = problem;
    }
    // Those of a file that has failed are dropped with the rest, and told as such.
    this.#listener.came(data.length);
    this.#queue.push(data);
    this.#work();
  }

  /** Nothing more comes. */
  end(): void {
    this.#ended = true;
    this.#work();
  }

  /** The file goes, whatever is being done with it. */
  remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.#work();
  }

  /** What was written, from its start; for nameless files, which stay open until they are removed. */
  async *chunks(): AsyncGenerator<Buffer> {
    for (let at = 0; at < this.#sizeBytes; ) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, this.#sizeBytes - at));
      const { bytesRead } = await this.#handle!.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) throw new Error(`a temporary file ended after ${at} of ${this.#sizeBytes} bytes`);
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  #work(): void {
    if (this.#working) return;
    this.#working = true;
    // A later turn: what comes in one turn is written at once.
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    if (!this.#removed && this.#error === STORED) await this.#tried(() => this.#writeQueue());
    if (this.#removed || this.#error !== STORED) this.#dropQueue();
    if (this.#removed) {
      await this.#delete();
      this.#listener.removed(this);
      return;
    }
    if (this.#queue.length === 0) await this.#settle();
    this.#working = false;
    if (this.#removed || this.#queue.length > 0) this.#work();
  }

  /** All that came is written, or nothing can be. */
  async #settle(): Promise<void> {
    if (this.#error !== STORED) await this.#delete();
    else if (!this.#ended) return;
    else if (!this.#settings.nameless) await this.#tried(() => this.#close());
    if (this.#reported || this.#removed) return;
    this.#reported = true;
    this.#listener.stored(this);
  }

  async #tried(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (thrown) {
      this.#error = this.#handle === undefined ? NO_FOLDER : CANNOT_WRITE;
      this.#problem = (thrown as Error).message;
    }
  }

  async #writeQueue(): Promise<void> {
    this.#handle ??= await this.#open();
    while (this.#queue.length > 0 && !this.#removed) {
      const buffers = this.#queue.splice(0, BUFFERS_MAX);
      const bytes = buffers.reduce((sum, { length }) => sum + length, 0);
      try {
        await this.#writeAll(buffers);
      } finally {
        this.#listener.wrote(bytes);
      }
    }
  }

  /** A full disk may take a part and say so only at the next attempt. */
  async #writeAll(buffers: Uint8Array[]): Promise<void> {
    let left = buffers;
    while (left.length > 0) {
      const { bytesWritten } = await this.#handle!.writev(left, this.#sizeBytes);
      this.#sizeBytes += bytesWritten;
      left = after(left, bytesWritten);
    }
  }

  #dropQueue(): void {
    const bytes = this.#queue.reduce((sum, { length }) => sum + length, 0);
    this.#queue = [];
    if (bytes > 0) this.#listener.wrote(bytes);
  }

  async #open(): Promise<FileHandle> {
    const { folder, retry, owner, nameless } = this.#settings;
    try {
      return await this.#create(folder(), owner, nameless);
    } catch (thrown) {
      if (systemErrorCode(thrown) !== "ENOENT") throw thrown;
      retry();
      return this.#create(folder(), owner, nameless);
    }
  }

  async #create(folder: string, owner: SpoolFileSettings["owner"], nameless: boolean): Promise<FileHandle> {
    const path = join(folder, `upload${randomBytes(12).toString("hex")}`);
    const handle = await open(path, CREATE_FLAGS, 0o600);
    this.#path = path;
    try {
      if (nameless) await this.#unlink();
      else if (owner.uid !== undefined || owner.gid !== undefined)
        await handle.chown(owner.uid ?? process.getuid!(), owner.gid ?? process.getgid!());
    } catch (thrown) {
      await handle.close();
      await this.#unlink();
      throw thrown;
    }
    return handle;
  }

  async #close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async #delete(): Promise<void> {
    await this.#close().catch(() => {});
    if (this.#path !== "") await this.#unlink();
  }

  /** The application may have moved the file: that is what it is for. */
  async #unlink(): Promise<void> {
    const path = this.#path;
    this.#path = "";
    await unlink(path).catch(() => {});
  }
}

/** A new file, wherever names may lead. */
export const CREATE_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** What is left of buffers after so many bytes. */
function after(buffers: Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  for (const [at, buffer] of buffers.entries()) {
    if (skip < buffer.length) return [buffer.subarray(skip), ...buffers.slice(at + 1)];
    skip -= buffer.length;
  }
  return [];
}
