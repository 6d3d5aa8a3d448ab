import type { Clock } from "../clock.ts";
import type { Spill, SpillEntry } from "../spool/spill.ts";
import type { ReplyPart } from "../worker/execution.ts";
import { RecordReader, recordOf } from "./reply-records.ts";

/** Where replies wait that nobody takes, and how much of each may. */
export interface SpillRules {
  readonly spill: Spill;
  readonly clock: Clock;
  /** Of one reply; 0: workers wait for slow readers. */
  readonly replyBytesMax: number;
  /** Of one that the application sends bit by bit, and that may have no end. */
  readonly streamBytesMax: number;
}

/** The rest of a reply that waits on the disk while its worker does something else. */
export class SpilledReply {
  readonly #entry: SpillEntry;
  readonly #records = new RecordReader();

  /** @param changed more can be read, or there is room again */
  constructor({ spill }: SpillRules, bytesMax: number, changed: () => void) {
    this.#entry = spill.entry(bytesMax, changed);
  }

  /** All of it was read. */
  get empty(): boolean {
    return this.#entry.bytes === 0;
  }

  get hasRoom(): boolean {
    return this.#entry.hasRoom;
  }

  push(part: ReplyPart): void {
    this.#entry.write(...recordOf(part));
  }

  /** The next parts, of about so many bytes; undefined: they are on their way to the disk. Rejects if it cannot be read. */
  async read(bytes: number): Promise<ReplyPart[] | undefined> {
    const data = await this.#entry.read(Math.max(bytes, this.#records.missingBytes));
    return data.length === 0 ? undefined : this.#records.push(data);
  }

  release(): void {
    this.#entry.release();
  }
}
