import { FloodLimit } from "../async/flood-limit.ts";
import type { Clock } from "../clock.ts";
import type { RrError } from "../errors.ts";
import type { EventDetails, EventLog, EventType } from "../events/event-log.ts";
import { beginningOf } from "../log/beginning.ts";
import type { Fields, Log } from "../log.ts";
import type { ExitStatus } from "../process/child-process.ts";
import { levelOf } from "../process/output-level.ts";
import { describeExit } from "../worker/exit-explanation.ts";
import type { Worker } from "../worker/worker.ts";
import type { Call } from "./call.ts";
import type { ErrorResponses } from "./response-watch.ts";

/** What a flood of calls causes is told once a second. */
const REFUSALS = { burst: 1, intervalMs: 1_000 };
/** What applications cause as often as they like: a few lines at once, then one a second. */
const LINES = { burst: 20, intervalMs: 1_000 };
/** The same explanation of a failed boot is written in full once in this time. */
const REPEAT_INTERVAL_MS = 10_000;
/** Of texts of applications, in bytes: in messages with more to say, and in lines of the log. */
const TEXT_SHOWN = 200;
const LINE_TEXT_BYTES_MAX = 8 * 1024;

interface FloodLine {
  readonly level: "warn" | "error";
  readonly fields: Fields;
  readonly message: string;
}

interface Refusal {
  readonly type: EventType;
  readonly reason: string;
  readonly message: string;
}

/** Tells log and events what happens in a pool. */
export class PoolReporter {
  readonly log: Log;
  readonly #pool: string;
  readonly #events: EventLog;
  readonly #clock: Clock;
  readonly #refusals: FloodLimit<Refusal>;
  readonly #lines: FloodLimit<FloodLine>;
  #bootFailure = { message: "", atMs: 0 };

  constructor(pool: string, log: Log, events: EventLog, clock: Clock) {
    this.#pool = pool;
    this.log = log;
    this.#events = events;
    this.#clock = clock;
    this.#refusals = new FloodLimit(clock, REFUSALS, ({ type, reason, message }, leftOut) => {
      const counted = withCount(message, leftOut);
      log.warn({ reason, ...(leftOut > 0 && { left_out: leftOut }) }, counted);
      this.event(type, { reason, message: counted, attributes: { left_out: leftOut || undefined } });
    });
    this.#lines = new FloodLimit(clock, LINES, ({ level, fields, message }, leftOut) =>
      log[level]({ ...fields, ...(leftOut > 0 && { left_out: leftOut }) }, withCount(message, leftOut)),
    );
  }

  event(type: EventType, details: Omit<EventDetails, "pool">): void {
    this.#events.record(type, { ...details, pool: this.#pool });
  }

  /** Somebody changed how the pool takes calls. */
  changed(type: EventType, message: string, by: string | undefined): void {
    this.log.info(by ? { actor: by } : {}, message);
    this.event(type, { message, actor: by });
  }

  /** For what a flood of calls causes: at most one line and event a second. */
  flood(type: "pool.queue_full" | "pool.queue_timeout", reason: string, message: string): void {
    this.#refusals.add(type, { type, reason, message });
  }

  workerReady(worker: Worker): void {
    const message = `worker ${worker.pid} is ready`;
    const bootMs = Math.round(worker.bootTimeMs);
    this.log.debug({ pid: worker.pid, boot_ms: bootMs }, message);
    this.event("worker.ready", {
      pid: worker.pid,
      message,
      attributes: { generation: worker.generation, boot_ms: bootMs },
    });
  }

  /** Workers fail alike: the same explanation is written once in a while only. `quiet`: not even that. */
  bootFailed(error: RrError, quiet: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    const repeated = error.message === this.#bootFailure.message && nowMs - this.#bootFailure.atMs < REPEAT_INTERVAL_MS;
    if (!repeated) this.#bootFailure = { message: error.message, atMs: nowMs };
    const [firstLine] = error.message.split("\n");
    const text = beginningOf(error.message, LINE_TEXT_BYTES_MAX);
    if (quiet) this.log.debug({ reason: error.reason }, text);
    else if (repeated) this.#line("boot_failed", "error", { reason: error.reason }, `${firstLine} (as before)`);
    else this.#line("boot_failed", "error", { reason: error.reason }, text);
    this.event("worker.boot_failed", { reason: error.reason, message: error.message });
  }

  /** `reason` is why it was to leave, or what its exit means. */
  workerExited(worker: Worker, exit: ExitStatus, reason: string, error: RrError): void {
    const exitFields = { exit_code: exit.code ?? undefined, signal: exit.signal ?? undefined };
    const fields = { pid: worker.pid, ...exitFields };
    const attributes = { ...exitFields, executions: worker.executions, generation: worker.generation };
    const common = { pid: worker.pid, reason, attributes, actor: error.metadata.actor };
    if (worker.leaving === "") {
      const idle = worker.requestId === "";
      const message = idle
        ? `worker ${worker.pid} of pool "${this.#pool}" ended by itself with ${describeExit(exit)}`
        : error.message;
      this.#line("exited", "error", { ...fields, reason }, message);
      this.event("worker.exited", { ...common, message });
    } else if (exit.signal === null) {
      const message = `worker ${worker.pid} ended: ${reason}`;
      this.log.debug(fields, message);
      this.event("worker.stopped", { ...common, message });
    } else {
      this.#line("killed", "warn", { ...fields, reason }, error.message);
      this.event("worker.killed", { ...common, message: error.message });
    }
  }

  limitReached(worker: Worker, reason: string): void {
    this.log.info(
      { pid: worker.pid, reason, memory_bytes: worker.memoryBytes || undefined },
      `worker ${worker.pid} reached its limit (${reason}) and will be replaced`,
    );
  }

  strayOutput(worker: Worker, text: string): void {
    const requestId = worker.requestId;
    const fields = { pid: worker.pid, ...(requestId && { request_id: requestId }) };
    const level = levelOf(text.trimStart()) === "error" ? "error" : "warn";
    this.#line("stray", level, fields, `text between answers: ${beginningOf(text, LINE_TEXT_BYTES_MAX)}`);
    this.event("worker.stray_output", {
      pid: worker.pid,
      reason: "STRAY_OUTPUT",
      message: `worker ${worker.pid} printed to the channel of the protocol: ${beginningOf(text, TEXT_SHOWN)}`,
      attributes: { request_id: requestId },
    });
  }

  surplusAnswer(worker: Worker, text: string, keep: boolean): void {
    const consequence = keep ? "it was dropped" : "the worker is replaced";
    const message = `worker ${worker.pid} answered although nothing was asked; ${consequence}: ${beginningOf(text, TEXT_SHOWN)}`;
    this.#line("surplus", "warn", { pid: worker.pid }, message);
    this.event("worker.surplus_answer", { pid: worker.pid, reason: "PROTOCOL_VIOLATION", message });
  }

  applicationError(call: Call, error: RrError): void {
    const { requestId } = call;
    const pid = call.worker?.pid ?? 0;
    const text = beginningOf(error.message, LINE_TEXT_BYTES_MAX);
    const fields = { pid, ...(requestId && { request_id: requestId }) };
    this.#line("application_error", "warn", fields, `the application answered with an error: ${text}`);
    this.event("worker.error", {
      pid,
      reason: error.reason,
      message: error.message,
      attributes: { request_id: requestId },
    });
  }

  /** The application answered that it failed. */
  errorResponses({ failed, all }: ErrorResponses): void {
    const message = `${failed} of ${all} responses of pool "${this.#pool}" were 5xx: the application failed`;
    this.log.warn({ responses: all, responses_5xx: failed }, message);
    this.event("pool.error_responses", { message, attributes: { responses: all, responses_5xx: failed } });
  }

  callRetried(call: Call, error: RrError): void {
    this.event("call.retried", {
      pid: call.worker?.pid ?? 0,
      reason: error.reason,
      message: `a call is tried on another worker: ${error.message}`,
      attributes: { request_id: call.requestId },
    });
  }

  #line(kind: string, level: FloodLine["level"], fields: Fields, message: string): void {
    this.#lines.add(kind, { level, fields, message: beginningOf(message, LINE_TEXT_BYTES_MAX + TEXT_SHOWN) });
  }
}

function withCount(message: string, leftOut: number): string {
  return leftOut === 0 ? message : `${message} (and ${leftOut} more of this kind before it)`;
}
