import { FloodGate } from "../async/flood-gate.ts";
import type { Clock } from "../clock.ts";
import type { RrError } from "../errors.ts";
import type { EventDetails, EventLog, EventType } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import type { ExitStatus } from "../process/child-process.ts";
import { describeExit } from "../worker/exit-explanation.ts";
import type { Worker } from "../worker/worker.ts";
import type { Call } from "./call.ts";

/** Events that a flood of calls would cause are recorded once in this time. */
const FLOOD_INTERVAL_MS = 1_000;
/** Of those that single workers cause. */
const EVENTS_PER_INTERVAL = 10;
/** The same explanation of a failed boot is written in full once in this time. */
const REPEAT_INTERVAL_MS = 10_000;
const TEXT_SHOWN = 200;
/** Of the application's own words a line of the log has so much, and an event so much: thousands of events are kept. */
const LOGGED_TEXT_MAX = 16 * 1024;
const EVENT_TEXT_MAX = 2 * 1024;

/** Tells log and events what happens in a pool. */
export class PoolReporter {
  readonly log: Log;
  readonly #pool: string;
  readonly #events: EventLog;
  readonly #clock: Clock;
  readonly #floodAtMs = new Map<EventType, number>();
  readonly #strayEvents: FloodGate;
  readonly #surplusAnswers: FloodGate;
  #bootFailure = { message: "", atMs: 0 };

  constructor(pool: string, log: Log, events: EventLog, clock: Clock) {
    this.#pool = pool;
    this.log = log;
    this.#events = events;
    this.#clock = clock;
    this.#strayEvents = new FloodGate(EVENTS_PER_INTERVAL, FLOOD_INTERVAL_MS, clock);
    this.#surplusAnswers = new FloodGate(EVENTS_PER_INTERVAL, FLOOD_INTERVAL_MS, clock);
  }

  event(type: EventType, details: Omit<EventDetails, "pool">): void {
    this.#events.record(type, { ...details, pool: this.#pool });
  }

  /** For what a flood of calls causes: at most one line and event a second. */
  flood(type: "pool.queue_full" | "pool.queue_timeout", reason: string, message: string): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - (this.#floodAtMs.get(type) ?? Number.NEGATIVE_INFINITY) < FLOOD_INTERVAL_MS) return;
    this.#floodAtMs.set(type, nowMs);
    this.log.warn({ reason }, message);
    this.event(type, { reason, message });
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
    if (quiet) this.log.debug({ reason: error.reason }, error.message);
    else if (repeated) this.log.error({ reason: error.reason }, `${firstLine} (as before)`);
    else this.log.error({ reason: error.reason }, error.message);
    this.event("worker.boot_failed", { reason: error.reason, message: cut(error.message, EVENT_TEXT_MAX) });
  }

  /** `reason` is why it was to leave, or what its exit means. */
  workerExited(worker: Worker, exit: ExitStatus, reason: string, error: RrError): void {
    const exitFields = { exit_code: exit.code ?? undefined, signal: exit.signal ?? undefined };
    const fields = { pid: worker.pid, ...exitFields };
    const attributes = { ...exitFields, executions: worker.executions, generation: worker.generation };
    const common = { pid: worker.pid, reason, attributes };
    if (worker.leaving === "") {
      const idle = worker.requestId === "";
      const message = idle
        ? `worker ${worker.pid} of pool "${this.#pool}" ended by itself with ${describeExit(exit)}`
        : error.message;
      this.log.error({ ...fields, reason }, message);
      this.event("worker.exited", { ...common, message });
    } else if (exit.signal === null) {
      const message = `worker ${worker.pid} ended: ${reason}`;
      this.log.debug(fields, message);
      this.event("worker.stopped", { ...common, message });
    } else {
      this.log.warn({ ...fields, reason }, error.message);
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
    this.log.warn({ pid: worker.pid, ...(requestId && { request_id: requestId }) }, `text between answers: ${text}`);
    if (this.#strayEvents.pass() === undefined) return;
    this.event("worker.stray_output", {
      pid: worker.pid,
      reason: "STRAY_OUTPUT",
      message: `worker ${worker.pid} printed to the channel of the protocol: ${text.slice(0, TEXT_SHOWN)}`,
      attributes: { request_id: requestId },
    });
  }

  surplusAnswer(worker: Worker, text: string, keep: boolean): void {
    const consequence = keep ? "it was dropped" : "the worker is replaced";
    const sentence = `worker ${worker.pid} answered although nothing was asked; ${consequence}: ${text.slice(0, TEXT_SHOWN)}`;
    this.#surplusAnswers.tell(sentence, (message) => {
      this.log.warn({ pid: worker.pid }, message);
      this.event("worker.surplus_answer", { pid: worker.pid, reason: "PROTOCOL_VIOLATION", message });
    });
  }

  applicationError(call: Call, error: RrError): void {
    const { requestId } = call;
    const pid = call.worker?.pid ?? 0;
    this.log.warn(
      { pid, ...(requestId && { request_id: requestId }) },
      `the application answered with an error: ${cut(error.message, LOGGED_TEXT_MAX)}`,
    );
    this.event("worker.error", {
      pid,
      reason: error.reason,
      message: cut(error.message, EVENT_TEXT_MAX),
      attributes: { request_id: requestId },
    });
  }

  callRetried(call: Call, error: RrError): void {
    this.event("call.retried", {
      pid: call.worker?.pid ?? 0,
      reason: error.reason,
      message: `a call is tried on another worker: ${error.message}`,
      attributes: { request_id: call.requestId },
    });
  }
}

function cut(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax)} …`;
}
