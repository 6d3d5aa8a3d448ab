import { loopTurn } from "../async/loop-turn.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { type OutputRecord, OutputRecords } from "../process/output-records.ts";

/** What an idle worker prints so soon after an answer was printed for that call. */
const OUTPUT_AFTER_ANSWER_MS = 50;
/** Of the present call, or since it; lines are bounded themselves. */
const LINES_KEPT = 20;
const NO_CALL = "";

type OutputStream = "stdout" | "stderr";

/**
 * What a worker prints beside its channel: to the log, and kept as the possible reason why it will be gone. Whose it is:
 * all that PHP printed before an answer can be read when the answer can, so what is read in the same turn of the event loop
 * is of the call that was answered, also if the next one has begun meanwhile.
 */
export class WorkerOutput {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #records: Readonly<Record<OutputStream, OutputRecords<string>>>;
  #pid: number | undefined;
  #requestId = NO_CALL;
  #lastRequestId = NO_CALL;
  /** Turn of the event loop and moment of the last answer. */
  #answeredTurn = -1;
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  /** Since the present call began, or since the last one was answered. */
  #lines: string[] = [];

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#records = { stdout: this.#recordsOf("stdout"), stderr: this.#recordsOf("stderr") };
  }

  /** The process is there. */
  startedAs(pid: number): void {
    this.#pid = pid;
  }

  callBegan(requestId: string): void {
    this.#requestId = requestId;
    if (this.#lines.length > 0) this.#lines = [];
  }

  callAnswered(): void {
    this.#lastRequestId = this.#requestId;
    this.#requestId = NO_CALL;
    this.#answeredTurn = loopTurn();
    this.#answeredAtMs = this.#clock.monotonicMs();
    if (this.#lines.length > 0) this.#lines = [];
  }

  line(line: string, stream: OutputStream): void {
    const isLate = loopTurn() === this.#answeredTurn;
    if (!isLate && this.#lines.push(line) > LINES_KEPT) this.#lines.shift();
    this.#records[stream].line(line, isLate ? this.#lastRequestId : this.#requestIdNow());
  }

  /** What it printed since its present call began; if it runs none, since the last one was answered. */
  get ofPresentCall(): string {
    return this.#lines.join("\n");
  }

  /** Hands on what is there: the process is gone. */
  flush(): void {
    for (const records of Object.values(this.#records)) records.flush();
  }

  /** Its pipe may be read a moment after the answer. */
  #requestIdNow(): string {
    if (this.#requestId !== NO_CALL) return this.#requestId;
    return this.#clock.monotonicMs() - this.#answeredAtMs < OUTPUT_AFTER_ANSWER_MS ? this.#lastRequestId : NO_CALL;
  }

  #recordsOf(stream: OutputStream): OutputRecords<string> {
    return new OutputRecords<string>(this.#clock, (record, requestId) => this.#tell(record, requestId, stream));
  }

  #tell({ level, text }: OutputRecord, requestId: string, stream: OutputStream): void {
    const fields = {
      pid: this.#pid,
      ...(requestId && { request_id: requestId }),
      ...(stream === "stdout" && { stream }),
    };
    this.#log[level](fields, text);
  }
}
