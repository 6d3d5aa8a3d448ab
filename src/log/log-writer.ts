import type { Deadline } from "../async/deadline.ts";
import { Waiters } from "../async/waiters.ts";
import type { Clock, StopTimer } from "../clock.ts";
import { systemErrorCode } from "../errors.ts";
import type { LogChannel, LogPlace } from "./log-channel.ts";

/** What became of a place that lines could not be written to. */
export interface LogTrouble {
  /** Name of the place. */
  readonly place: string;
  /** "ENOSPC: no space left on device, write". */
  readonly problem: string;
}

export interface LogWriterObserver {
  /** Lines cannot be written: they are kept as far as there is room, then dropped. Told once. */
  failing(trouble: LogTrouble): void;
  /** They can again. `lost`: lines that were dropped meanwhile. */
  recovered(trouble: LogTrouble, lost: number): void;
}

/** Lines that wait for one place, at most; more are dropped. */
const QUEUE_BYTES_MAX = 1024 * 1024;
/** How soon a place that failed is tried again. */
const RETRY_MS = 1_000;
/** How soon a reader that had no room is offered more. */
const FULL_PIPE_RETRY_MS = 20;
/** How often a file is looked for under its name: programs that rotate logs move it away. */
const LOOK_EVERY_MS = 1_000;

/** What is open stays of use: the disk is full, or the reader of a pipe has gone and another one may come. */
const MAY_PASS: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EPIPE"]);

const LINE_FEED = 10;

/**
 * Writes lines to one place without ever making anybody wait: they go to a queue of bounded size, and from there in
 * batches. What goes wrong drops lines, is told once, and is tried again for as long as the process lives.
 */
export class LogWriter {
  readonly #place: LogPlace;
  readonly #clock: Clock;
  readonly #observer: LogWriterObserver;
  #channel: LogChannel | undefined;
  #lookedAtMs = 0;
  #reopenWanted = false;
  #queue: string[] = [];
  #queuedBytes = 0;
  /** What is being written, as far as it has not been. */
  #batch: Buffer | undefined;
  /** A write is under way. */
  #writing = false;
  /** Some of a line was written and the rest was not. */
  #midLine = false;
  #pumping = false;
  #trouble: LogTrouble | undefined;
  #lost = 0;
  #lostInAll = 0;
  /** What the next attempt waits for. */
  #pause: { readonly forReader: boolean; readonly stop: StopTimer } | undefined;
  #closed = false;
  readonly #idle = new Waiters();

  constructor(place: LogPlace, clock: Clock, observer: LogWriterObserver) {
    this.#place = place;
    this.#clock = clock;
    this.#observer = observer;
  }

  get name(): string {
    return this.#place.name;
  }

  get failing(): boolean {
    return this.#trouble !== undefined;
  }

  /** Lines that were dropped since the process started. */
  get droppedLines(): number {
    return this.#lostInAll;
  }

  /** Bytes that wait. */
  get pendingBytes(): number {
    return this.#queuedBytes + (this.#batch?.length ?? 0);
  }

  /** @param line with its line feed */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#closed || this.pendingBytes + bytes > QUEUE_BYTES_MAX) return this.#drop();
    this.#queue.push(line);
    this.#queuedBytes += bytes;
    if (!this.#pumping && this.#pause === undefined) void this.#pump();
  }

  /** Opens the place anew before the next line, as programs that rotate logs ask for. */
  reopen(): void {
    this.#reopenWanted = true;
    this.#endPause();
    void this.#pump();
  }

  /** Settles when nothing waits any more, or nothing can be written now. */
  async settled(): Promise<void> {
    while (!this.#closed && (this.#pumping || this.pendingBytes > 0) && (this.#pause?.forReader ?? true))
      await this.#idle.wait();
  }

  /**
   * Writes what waits at once, and takes nothing more: the process is about to end.
   *
   * @param deadline until when a reader that has no room is given the time to read
   */
  writeNow(deadline: Deadline): void {
    this.#endPause();
    if (this.#closed) return;
    this.#closed = true;
    // What is being written now is finished by the system.
    const first = this.#writing ? undefined : this.#batch;
    let rest = Buffer.concat([first ?? Buffer.alloc(0), Buffer.from(this.#queue.join(""))]);
    try {
      if (rest.length > 0) this.#channel ??= this.#place.openNow();
      while (rest.length > 0) rest = rest.subarray(writeSome(this.#channel!, rest, deadline));
    } catch {
      // The end does not wait for better times.
    }
  }

  #drop(): void {
    this.#lost++;
    this.#lostInAll++;
    if (!this.#closed) this.#fails("it takes less than is written");
  }

  /** Until nothing is left to do, or a pause is due. */
  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      // All lines of a turn of the event loop leave together.
      await Promise.resolve();
      while (!this.#closed && (this.#reopenWanted || this.pendingBytes > 0)) await this.#step();
      if (this.#trouble && !this.#closed) this.#recovers();
    } catch (thrown) {
      this.#pauseAfter(thrown as NodeJS.ErrnoException);
    } finally {
      this.#pumping = false;
      this.#idle.wakeAll();
    }
    // What was told of a recovery is a line, too.
    if (this.#queue.length > 0 && this.#pause === undefined && !this.#closed) void this.#pump();
  }

  async #step(): Promise<void> {
    const channel = await this.#openChannel();
    if (this.#closed) return;
    const batch = this.#batch ?? this.#nextBatch(channel.batchBytesMax);
    if (batch === undefined) return;
    this.#batch = batch;
    this.#writing = true;
    try {
      const written = await channel.write(batch);
      this.#midLine = batch[written - 1] !== LINE_FEED;
      this.#batch = written < batch.length ? batch.subarray(written) : undefined;
    } finally {
      this.#writing = false;
    }
  }

  async #openChannel(): Promise<LogChannel> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#channel && !this.#reopenWanted && nowMs - this.#lookedAtMs >= LOOK_EVERY_MS) {
      this.#lookedAtMs = nowMs;
      this.#reopenWanted = await this.#channel.outdated();
    }
    if (this.#channel && !this.#reopenWanted) return this.#channel;
    this.#closeChannel();
    this.#channel = await this.#place.open();
    this.#reopenWanted = false;
    this.#lookedAtMs = this.#clock.monotonicMs();
    return this.#channel;
  }

  #closeChannel(): void {
    this.#channel?.close();
    this.#channel = undefined;
    // The rest of a line makes no sense elsewhere.
    if (this.#midLine && this.#batch) this.#batch = afterLine(this.#batch);
    this.#midLine = false;
  }

  /** Closes what failed. It may be opened again and still end with half a line, which then has to be a line of its own. */
  #leaveChannel(): void {
    const midLine = this.#midLine;
    this.#closeChannel();
    if (midLine) this.#batch = Buffer.concat([Buffer.from("\n"), this.#batch ?? Buffer.alloc(0)]);
  }

  /** Whole lines, as many as go together; at least one. */
  #nextBatch(bytesMax: number): Buffer | undefined {
    let count = 0;
    let bytes = 0;
    for (const line of this.#queue) {
      const lineBytes = Buffer.byteLength(line);
      if (count > 0 && bytes + lineBytes > bytesMax) break;
      count++;
      bytes += lineBytes;
    }
    if (count === 0) return undefined;
    const lines = count === this.#queue.length ? this.#queue : this.#queue.slice(0, count);
    this.#queue = count === this.#queue.length ? [] : this.#queue.slice(count);
    this.#queuedBytes -= bytes;
    return Buffer.from(lines.join(""));
  }

  #pauseAfter(error: Error): void {
    if (this.#closed) return;
    const code = systemErrorCode(error) ?? "";
    if (code === "EAGAIN") return this.#tryAfter(FULL_PIPE_RETRY_MS, true);
    this.#fails(error.message);
    if (!MAY_PASS.has(code)) this.#leaveChannel();
    this.#lookedAtMs = Number.NEGATIVE_INFINITY;
    this.#tryAfter(RETRY_MS, false);
  }

  #tryAfter(delayMs: number, forReader: boolean): void {
    const stop = this.#clock.after(delayMs, () => {
      this.#pause = undefined;
      void this.#pump();
    });
    this.#pause = { forReader, stop };
  }

  #endPause(): void {
    this.#pause?.stop();
    this.#pause = undefined;
  }

  #fails(problem: string): void {
    if (this.#trouble) return;
    this.#trouble = { place: this.name, problem };
    this.#observer.failing(this.#trouble);
  }

  #recovers(): void {
    const trouble = this.#trouble!;
    const lost = this.#lost;
    this.#trouble = undefined;
    this.#lost = 0;
    this.#observer.recovered(trouble, lost);
  }
}

function writeSome(channel: LogChannel, bytes: Buffer, deadline: Deadline): number {
  try {
    return channel.writeNow(bytes);
  } catch (thrown) {
    if (systemErrorCode(thrown) !== "EAGAIN" || deadline.passed) throw thrown;
    // There are no turns of the event loop any more to wait in.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    return 0;
  }
}

function afterLine(bytes: Buffer): Buffer | undefined {
  const end = bytes.indexOf(LINE_FEED);
  return end < 0 || end === bytes.length - 1 ? undefined : bytes.subarray(end + 1);
}
