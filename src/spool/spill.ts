import type { FileHandle } from "node:fs/promises";
import { systemErrorCode } from "../errors.ts";

/** Pieces in which the file is given out. */
const BLOCK_BYTES = 64 * 1024;
/** Bytes of one entry that may wait for the disk. */
const PENDING_BYTES_MAX = 512 * 1024;
/** The same in pieces: a small one costs more than its bytes. */
const PENDING_PIECES_MAX = 2_048;
/** After the disk refused something, nothing new is tried for so long. */
const REFUSED_MS = 5_000;

export interface SpillSettings {
  /** A file that nobody else can see; it is gone when it is closed. */
  readonly open: () => Promise<FileHandle>;
  /** Of all entries together; 0: nothing may be spilled. */
  readonly bytesMax: number;
  readonly monotonicMs: () => number;
  /** The disk refused something. Who waits goes on waiting, as without a spill. */
  readonly problem: (thrown: unknown) => void;
}

/**
 * One file for bytes that wait for slow readers, of all replies together: given out in blocks, the lowest first,
 * bounded in all, one descriptor. It is closed, and its place on the disk is free, when nothing is in it.
 */
export class Spill {
  readonly #settings: SpillSettings;
  readonly #blocksMax: number;
  /** By block. */
  readonly #taken: boolean[] = [];
  #blocksTaken = 0;
  #firstFree = 0;
  #handle: Promise<FileHandle> | undefined;
  #refusedUntilMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(settings: SpillSettings) {
    this.#settings = settings;
    this.#blocksMax = Math.floor(settings.bytesMax / BLOCK_BYTES);
  }

  /** Bytes of the disk that are in use. */
  get bytes(): number {
    return this.#blocksTaken * BLOCK_BYTES;
  }

  /** Whether something may be spilled now. */
  get available(): boolean {
    const { monotonicMs } = this.#settings;
    return !this.#closed && this.#blocksTaken < this.#blocksMax && monotonicMs() >= this.#refusedUntilMs;
  }

  /**
   * @param bytesMax of this entry
   * @param changed more can be read, or written
   */
  entry(bytesMax: number, changed: () => void): SpillEntry {
    return new SpillEntry(this, Math.min(bytesMax, this.#settings.bytesMax), changed);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#closeFile();
  }

  // For entries.

  /** A block for `release`; undefined: all are taken. */
  takeBlock(): number | undefined {
    if (!this.available) return undefined;
    let block = this.#firstFree;
    while (this.#taken[block]) block++;
    this.#taken[block] = true;
    this.#firstFree = block + 1;
    this.#blocksTaken++;
    return block;
  }

  freeBlock(block: number): void {
    this.#taken[block] = false;
    this.#blocksTaken--;
    this.#firstFree = Math.min(this.#firstFree, block);
    if (this.#blocksTaken > 0) return;
    this.#taken.length = 0;
    void this.#closeFile();
  }

  /** @throws what the system says; then the disk is left alone for a while */
  async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    try {
      const handle = await this.#open();
      await writeAll(handle, buffers, position);
    } catch (thrown) {
      this.#refusedUntilMs = this.#settings.monotonicMs() + REFUSED_MS;
      this.#settings.problem(thrown);
      throw thrown;
    }
  }

  async read(bytes: number, position: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(bytes);
    const handle = await this.#open();
    let at = 0;
    while (at < bytes) {
      const { bytesRead } = await handle.read(buffer, at, bytes - at, position + at);
      if (bytesRead === 0) throw new Error(`the file of spilled replies ended at ${position + at}`);
      at += bytesRead;
    }
    return buffer;
  }

  #open(): Promise<FileHandle> {
    if (this.#handle) return this.#handle;
    if (this.#closed) return Promise.reject(new Error("the server is ending"));
    const opening = this.#settings.open();
    this.#handle = opening;
    opening.catch(() => {
      if (this.#handle === opening) this.#handle = undefined;
    });
    return opening;
  }

  async #closeFile(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.then((file) => file.close()).catch(() => {});
  }
}

/** What waits of one reply: bytes in at one end, out at the other, in order. */
export class SpillEntry {
  readonly #spill: Spill;
  readonly #bytesMax: number;
  readonly #changed: () => void;
  /** Not on the disk yet. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** Blocks with what is on the disk, the oldest first; only the last one may be filled in part. */
  #blocks: number[] = [];
  /** In the first block: where reading goes on. */
  #readAt = 0;
  /** In the last block: where writing goes on. */
  #writeAt = BLOCK_BYTES;
  #writing = false;
  #reading = false;
  #released = false;

  constructor(spill: Spill, bytesMax: number, changed: () => void) {
    this.#spill = spill;
    this.#bytesMax = bytesMax;
    this.#changed = changed;
  }

  /** Of what has not been read. */
  get bytes(): number {
    return this.#storedBytes + this.#pendingBytes;
  }

  /** Whether more may be written. What is written beyond it is kept in memory, and lost never. */
  get hasRoom(): boolean {
    if (this.#pendingBytes >= PENDING_BYTES_MAX || this.#pending.length >= PENDING_PIECES_MAX) return false;
    if (this.bytes >= this.#bytesMax) return false;
    return this.#spill.available;
  }

  write(...buffers: Uint8Array[]): void {
    for (const buffer of buffers) {
      if (buffer.length === 0) continue;
      this.#pending.push(buffer);
      this.#pendingBytes += buffer.length;
    }
    void this.#writeOut();
  }

  /** The next bytes, so many at most; none: nothing is there yet. One read at a time. */
  async read(bytesMax: number): Promise<Buffer> {
    if (this.#storedBytes === 0) return this.#readPending(bytesMax);
    const block = this.#blocks[0]!;
    const blockEnd = this.#blocks.length === 1 ? this.#writeAt : BLOCK_BYTES;
    const bytes = Math.min(bytesMax, blockEnd - this.#readAt);
    this.#reading = true;
    const data = await this.#spill.read(bytes, block * BLOCK_BYTES + this.#readAt);
    this.#reading = false;
    this.#readAt += bytes;
    this.#freeReadBlocks();
    return data;
  }

  /** Nobody wants the rest. */
  release(): void {
    this.#released = true;
    this.#pending = [];
    this.#pendingBytes = 0;
    // A block under way is given back when that is over.
    if (!this.#writing && !this.#reading) this.#freeAll();
  }

  get #storedBytes(): number {
    if (this.#blocks.length === 0) return 0;
    return (this.#blocks.length - 1) * BLOCK_BYTES + this.#writeAt - this.#readAt;
  }

  /** From memory, what is not being written. */
  #readPending(bytesMax: number): Buffer {
    if (this.#writing || this.#pending.length === 0) return Buffer.alloc(0);
    const first = this.#pending[0]!;
    const data = Buffer.from(first.subarray(0, bytesMax));
    if (data.length === first.length) this.#pending.shift();
    else this.#pending[0] = first.subarray(data.length);
    this.#pendingBytes -= data.length;
    return data;
  }

  async #writeOut(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    while (this.#pendingBytes > 0 && !this.#released && (await this.#writeBlock())) this.#changed();
    this.#writing = false;
    if (this.#released && !this.#reading) this.#freeAll();
    else if (!this.#released) this.#changed();
  }

  /** Writes what fits in the last block, or in a new one. False: it stays in memory. */
  async #writeBlock(): Promise<boolean> {
    const isNew = this.#writeAt === BLOCK_BYTES;
    const block = isNew ? this.#spill.takeBlock() : this.#blocks.at(-1);
    if (block === undefined) return false;
    const at = isNew ? 0 : this.#writeAt;
    const buffers = this.#beginning(BLOCK_BYTES - at);
    const bytes = buffers.reduce((sum, { length }) => sum + length, 0);
    try {
      await this.#spill.write(buffers, block * BLOCK_BYTES + at);
    } catch {
      if (isNew) this.#spill.freeBlock(block);
      return false;
    }
    if (isNew) {
      this.#blocks.push(block);
      if (this.#blocks.length === 1) this.#readAt = 0;
    }
    this.#writeAt = at + bytes;
    if (!this.#released) this.#dropPending(bytes);
    this.#freeReadBlocks();
    return true;
  }

  #beginning(bytesMax: number): Uint8Array[] {
    const buffers: Uint8Array[] = [];
    let left = bytesMax;
    for (const buffer of this.#pending) {
      if (left === 0) break;
      const part = buffer.subarray(0, left);
      buffers.push(part);
      left -= part.length;
    }
    return buffers;
  }

  #dropPending(bytes: number): void {
    this.#pendingBytes -= bytes;
    let left = bytes;
    let whole = 0;
    while (left > 0 && this.#pending[whole]!.length <= left) left -= this.#pending[whole++]!.length;
    this.#pending.splice(0, whole);
    if (left > 0) this.#pending[0] = this.#pending[0]!.subarray(left);
  }

  #freeReadBlocks(): void {
    if (this.#released) {
      if (!this.#writing && !this.#reading) this.#freeAll();
      return;
    }
    if (this.#blocks.length > 1 && this.#readAt === BLOCK_BYTES) {
      this.#spill.freeBlock(this.#blocks.shift()!);
      this.#readAt = 0;
    }
    // The last block is empty: it is given back, unless more is being written into it.
    if (this.#blocks.length !== 1 || this.#readAt !== this.#writeAt || this.#writing) return;
    this.#freeAll();
    this.#writeAt = BLOCK_BYTES;
    this.#readAt = 0;
  }

  #freeAll(): void {
    for (const block of this.#blocks.splice(0)) this.#spill.freeBlock(block);
  }
}

/** A full disk may take a part and say so only at the next attempt. */
async function writeAll(handle: FileHandle, buffers: readonly Uint8Array[], position: number): Promise<void> {
  let left = buffers as Uint8Array[];
  let at = position;
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left, at);
    if (bytesWritten === 0) throw Object.assign(new Error("the disk took nothing"), { code: "ENOSPC" });
    at += bytesWritten;
    left = withoutFirst(left, bytesWritten);
  }
}

function withoutFirst(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  for (const [at, buffer] of buffers.entries()) {
    if (skip < buffer.length) return [buffer.subarray(skip), ...buffers.slice(at + 1)];
    skip -= buffer.length;
  }
  return [];
}

/** "the disk is full" and the like, for the log. */
export function spillProblem(thrown: unknown): string {
  const text = (thrown as Error | undefined)?.message ?? String(thrown);
  return systemErrorCode(thrown) === "ENOSPC" ? `the disk is full (${text})` : text;
}
