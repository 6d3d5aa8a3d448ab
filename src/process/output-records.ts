import type { Clock, StopTimer } from "../clock.ts";
import { beginsException, continues, levelOf, type OutputLevel } from "./output-level.ts";

export interface OutputRecord {
  /** Of one line or several. */
  readonly text: string;
  readonly level: OutputLevel;
}

interface Pending<Owner> {
  readonly owner: Owner;
  readonly level: OutputLevel;
  readonly isException: boolean;
  readonly lines: string[];
  characters: number;
  leftOut: number;
  /** Parts of a stack trace were seen: what follows has to look like one. */
  inTrace: boolean;
}

/** A record holds this much; what is beyond is counted. */
const LINES_MAX = 200;
const CHARACTERS_MAX = 32 * 1024;
/** How long a stack trace may pause: PHP writes one in a single piece, which may be read in several. */
const TRACE_PAUSE_MS = 100;

/**
 * Puts lines of text together to what was one message: an exception and its stack trace are one record. Lines that follow
 * each other belong together only if they have the same owner.
 */
export class OutputRecords<Owner> {
  readonly #clock: Clock;
  readonly #onRecord: (record: OutputRecord, owner: Owner) => void;
  #pending: Pending<Owner> | undefined;
  /** All lines of a chunk come in a row. */
  #inChunk = false;
  #stopTimer: StopTimer | undefined;

  constructor(clock: Clock, onRecord: (record: OutputRecord, owner: Owner) => void) {
    this.#clock = clock;
    this.#onRecord = onRecord;
  }

  line(line: string, owner: Owner): void {
    const pending = this.#pending;
    if (pending && pending.owner === owner && this.#goesOn(pending, line)) this.#append(pending, line);
    else {
      this.flush();
      const level = levelOf(line) ?? "info";
      const isException = beginsException(line);
      this.#pending = { owner, level, isException, lines: [line], characters: line.length, leftOut: 0, inTrace: false };
    }
    if (this.#inChunk) return;
    this.#inChunk = true;
    queueMicrotask(() => this.#chunkEnded());
  }

  /** Hands on what is there: nothing follows, or it is too late. */
  flush(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    const pending = this.#pending;
    if (!pending) return;
    this.#pending = undefined;
    const { lines, level, leftOut, owner } = pending;
    const text = leftOut > 0 ? [...lines, `… (${leftOut} more lines)`].join("\n") : lines.join("\n");
    this.#onRecord({ text, level }, owner);
  }

  #goesOn(pending: Pending<Owner>, line: string): boolean {
    if (continues(line)) {
      if (pending.isException) pending.inTrace = true;
      return true;
    }
    // The message of an exception has as many lines as its author liked; they come in one piece with it.
    return pending.isException && !pending.inTrace && this.#inChunk && levelOf(line) === undefined;
  }

  #append(pending: Pending<Owner>, line: string): void {
    pending.characters += line.length;
    if (pending.lines.length < LINES_MAX && pending.characters <= CHARACTERS_MAX) pending.lines.push(line);
    else pending.leftOut++;
  }

  #chunkEnded(): void {
    this.#inChunk = false;
    if (!this.#pending) return;
    if (!this.#pending.isException) return this.flush();
    this.#stopTimer?.();
    this.#stopTimer = this.#clock.after(TRACE_PAUSE_MS, () => this.flush());
  }
}
