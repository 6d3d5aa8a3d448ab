import { existsSync } from "node:fs";
import { type Clock, systemClock } from "../clock.ts";
import type { SpoolOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { Log } from "../log.ts";
import { Spool } from "../spool/spool.ts";
import { type SpoolFile, STORED } from "../spool/spool-file.ts";
import { Turns } from "./turns.ts";

/** Bytes of bodies that all requests of a frontend together may keep in memory; what is beyond goes to the disk. */
export const HELD_BYTES_MAX = 16 * 1024 * 1024;
/** Of one form. */
const OWN_BYTES_MAX = 1024 * 1024;
/** Bytes of one form that wait for the disk before its client is held up. */
const UNWRITTEN_BYTES_MAX = 256 * 1024;
/** Each piece of a body costs as much again as it holds if it is small: so many are made one. */
const PARTS_MAX = 64;
const SMALL_PART_BYTES = 16 * 1024;

export interface BodyMemorySettings {
  /** For forms that are too large for the memory. */
  readonly spool: SpoolOptions;
  readonly log: Log;
  readonly clock?: Clock;
}

/** What the bodies of all requests of a frontend share: how much of them is in memory, and the folder for the rest. */
export class BodyMemory {
  readonly #settings: BodyMemorySettings;
  /** Whose turn it is to be read from the disk and parsed. */
  readonly turns: Turns;
  heldBytes = 0;
  #spool: Spool | undefined;

  constructor(settings: BodyMemorySettings) {
    this.#settings = settings;
    this.turns = new Turns(settings.clock ?? systemClock);
  }

  /** Whether so many bytes more may stay in memory. */
  hasRoom(bytes: number): boolean {
    return this.heldBytes + bytes <= HELD_BYTES_MAX;
  }

  get spool(): Spool {
    if (this.#spool !== undefined) return this.#spool;
    const { spool, log } = this.#settings;
    // A frontend may run on another host than the core, which has made sure that the folder is there.
    const directory = spool.directory !== undefined && existsSync(spool.directory) ? spool.directory : undefined;
    this.#spool = new Spool({ ...spool, directory }, log);
    void this.#spool.clean();
    return this.#spool;
  }

  /** Removes what is on the disk. */
  async close(): Promise<void> {
    await this.#spool?.close();
  }
}

/** The bytes of one form on its way in: in memory, and on the disk once they are many, or those of all forms are. */
export class FormStore {
  readonly #memory: BodyMemory;
  #parts: Buffer[] = [];
  #bytes = 0;
  #heldBytes = 0;
  #file: SpoolFile | undefined;
  #unwrittenBytes = 0;
  #onRoom: (() => void) | undefined;
  #onStored: (() => void) | undefined;
  #released = false;

  constructor(memory: BodyMemory) {
    this.#memory = memory;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether more may come at once; if not, `whenRoomy` calls back. */
  get roomy(): boolean {
    return this.#unwrittenBytes < UNWRITTEN_BYTES_MAX;
  }

  whenRoomy(callback: () => void): void {
    this.#onRoom = callback;
  }

  /** @throws RrError UNAVAILABLE: neither memory nor disk take it */
  add(data: Buffer): void {
    if (this.#released || data.length === 0) return;
    this.#bytes += data.length;
    if (this.#file === undefined && this.#bytes <= OWN_BYTES_MAX && this.#memory.hasRoom(data.length)) {
      this.#hold(data.length);
      this.#parts.push(data);
      if (this.#parts.length > PARTS_MAX) this.#parts = mergedTail(this.#parts);
      return;
    }
    if (this.#file === undefined) this.#spill();
    this.#write(data);
  }

  /** All of it if it is in memory. */
  whole(): Buffer | undefined {
    if (this.#file !== undefined) return undefined;
    return this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
  }

  /**
   * Everything from the start, in pieces. To be called once, when all has come.
   *
   * @throws RrError UNAVAILABLE: the disk did not take it
   */
  async *chunks(): AsyncGenerator<Buffer> {
    const file = this.#file;
    if (file === undefined) return yield* this.#parts;
    await new Promise<void>((resolve) => {
      this.#onStored = resolve;
      file.end();
    });
    if (this.#released) return;
    throwIfFailed(file);
    yield* file.chunks();
  }

  /** Nobody needs it any more. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#hold(-this.#heldBytes);
    this.#parts = [];
    this.#file?.remove();
    this.#onStored?.();
  }

  #spill(): void {
    this.#file = this.#memory.spool.namelessFile({
      wrote: (bytes) => {
        this.#unwrittenBytes -= bytes;
        if (!this.roomy) return;
        const onRoom = this.#onRoom;
        this.#onRoom = undefined;
        onRoom?.();
      },
      stored: () => this.#onStored?.(),
    });
    this.#hold(-this.#heldBytes);
    for (const part of this.#parts.splice(0)) this.#write(part);
  }

  #write(data: Buffer): void {
    this.#unwrittenBytes += data.length;
    this.#file!.write(data);
    throwIfFailed(this.#file!);
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#memory.heldBytes += bytes;
  }
}

function throwIfFailed({ error, problem }: SpoolFile): void {
  if (error === STORED) return;
  const message = `a form is too large for the memory and cannot be kept on the disk: ${problem}; see http.uploads.dir`;
  throw new RrError("UNAVAILABLE", message);
}

/** The many small pieces at the end as one: what has been merged before is not copied with each. */
function mergedTail(parts: readonly Buffer[]): Buffer[] {
  let from = parts.length;
  let bytes = 0;
  while (from > 0 && parts[from - 1]!.length <= Math.max(bytes, SMALL_PART_BYTES)) bytes += parts[--from]!.length;
  return parts.length - from < 2 ? [...parts] : [...parts.slice(0, from), Buffer.concat(parts.slice(from))];
}
