import { FloodLimit } from "../async/flood-limit.ts";
import { type Clock, systemClock } from "../clock.ts";
import { beginningOf } from "../log/beginning.ts";
import { EventRing } from "./event-ring.ts";

export type EventSeverity = "info" | "warning" | "error";

/** What can happen, and how much it matters. docs/events.md is generated from this table. */
export const EVENT_TYPES = {
  "server.started": { severity: "info", meaning: "all pools serve and the addresses are open" },
  "server.draining": { severity: "info", meaning: "no new calls are taken" },
  "control.refused": {
    severity: "warning",
    meaning:
      "a caller of the gRPC API was turned away: it did not say who it is, or may not do this (once a second at most)",
  },
  "control.secrets_shown": { severity: "warning", meaning: "an admin was shown the configuration with its secrets" },
  "server.drained": { severity: "warning", meaning: "somebody asked the server to take no new calls" },
  "server.undrained": { severity: "info", meaning: "a server that was drained takes calls again" },
  "server.stop_asked": { severity: "info", meaning: "somebody asked the server to end" },
  "server.stopped": { severity: "info", meaning: "all processes of the server have ended" },
  "server.socket_lost": {
    severity: "warning",
    meaning: "a socket of the server was removed from the file system; it is made again if that can be done",
  },
  "server.signalled": { severity: "info", meaning: "a signal asked for a reset of all pools" },
  "frontend.started": { severity: "info", meaning: "an HTTP frontend takes connections" },
  "frontend.exited": {
    severity: "error",
    meaning: "an HTTP frontend ended by itself, or was killed because it did not react, and is started again",
  },
  "frontend.start_failed": {
    severity: "error",
    meaning: "an HTTP frontend cannot be started; it is tried again until it can (once for each reason)",
  },
  "frontend.core_lost": { severity: "error", meaning: "an HTTP frontend cannot reach the core; it keeps trying" },
  "frontend.core_found": { severity: "info", meaning: "an HTTP frontend reaches the core again" },
  "certificate.ordered": { severity: "info", meaning: "an authority gave a new certificate (ACME)" },
  "certificate.failed": {
    severity: "error",
    meaning: "no certificate could be obtained (ACME); it is tried again, and the one there is stays in use",
  },
  "log.failing": { severity: "error", meaning: "lines of the log cannot be written somewhere; the server goes on" },
  "log.recovered": {
    severity: "warning",
    meaning: "the log is written there again; tells how many lines were dropped",
  },
  "spool.waiting_failed": {
    severity: "error",
    meaning: "replies cannot wait on the disk for slow readers: workers wait for them (once a minute at most)",
  },
  "spool.failed": {
    severity: "error",
    meaning: "uploads or bodies cannot be kept on the disk (once a second at most)",
  },
  "pool.started": { severity: "info", meaning: "the first workers of a pool are ready" },
  "pool.reset": { severity: "info", meaning: "a new generation of workers took over" },
  "pool.reset_failed": { severity: "error", meaning: "a new generation could not boot; the old one goes on" },
  "reload.watching": { severity: "info", meaning: "files are watched for changes" },
  "reload.polling": {
    severity: "warning",
    meaning: "the system refused to watch files: they are looked at by interval",
  },
  "reload.changed": { severity: "info", meaning: "files changed and pools are reset" },
  "reload.missing": { severity: "warning", meaning: "a folder is not there; it is watched once it is" },
  "reload.done": { severity: "info", meaning: "a pool was reset because of changed files" },
  "reload.failed": { severity: "error", meaning: "a changed file left a pool with its old code" },
  "pool.scaled": { severity: "info", meaning: "a pool has another number of workers" },
  "pool.scale_failed": { severity: "error", meaning: "workers that a pool should grow by could not boot" },
  "pool.restart_failed": {
    severity: "error",
    meaning: "a worker was to be restarted, and its successor could not boot; it goes on",
  },
  "pool.paused": { severity: "warning", meaning: "a pool refuses calls until it is resumed" },
  "pool.resumed": { severity: "info", meaning: "a paused pool takes calls again" },
  "pool.resume_failed": {
    severity: "error",
    meaning: "a paused pool without workers was to be resumed, and they could not boot; it stays paused",
  },
  "pool.failing": { severity: "error", meaning: "a pool has no worker left because they fail to boot" },
  "pool.degraded": {
    severity: "error",
    meaning: "new workers do not boot; those there serve on, with the code from before, and are not recycled",
  },
  "pool.recovered": { severity: "info", meaning: "a failing pool has workers again, or new workers boot again" },
  "pool.queue_full": {
    severity: "warning",
    meaning: "calls are refused because too many wait (once a second at most)",
  },
  "pool.queue_timeout": { severity: "warning", meaning: "calls waited too long for a worker (once a second at most)" },
  "pool.error_responses": {
    severity: "warning",
    meaning: "the application answers with 5xx (once in ten seconds at most, with how many of how many)",
  },
  "pool.grown": { severity: "info", meaning: "the dynamic allocator added workers" },
  "pool.shrunk": { severity: "info", meaning: "the dynamic allocator removed workers" },
  "worker.ready": { severity: "info", meaning: "a worker waits for its first call" },
  "worker.restarted": { severity: "info", meaning: "a worker has a successor because somebody asked for it" },
  "worker.stopped": { severity: "info", meaning: "a worker ended as it was asked to" },
  "worker.exited": { severity: "error", meaning: "a worker ended by itself" },
  "worker.killed": { severity: "warning", meaning: "a worker was killed by the server" },
  "worker.boot_failed": { severity: "error", meaning: "a worker did not become ready" },
  "worker.error": { severity: "warning", meaning: "the application answered a call with an error" },
  "worker.stray_output": { severity: "warning", meaning: "a worker printed text between its answers; it goes on" },
  "worker.surplus_answer": { severity: "warning", meaning: "a worker answered once more than it was asked" },
  "call.retried": { severity: "warning", meaning: "a call is tried on another worker because its first one died" },
} as const satisfies Record<string, { severity: EventSeverity; meaning: string }>;

export type EventType = keyof typeof EVENT_TYPES;

/** What applications and clients can cause as often as they like: after a few at once, one a second tells of the rest. */
const FLOODS: ReadonlySet<EventType> = new Set<EventType>([
  "worker.boot_failed",
  "worker.error",
  "worker.exited",
  "worker.killed",
  "worker.stray_output",
  "worker.surplus_answer",
  "call.retried",
]);
const FLOOD_LIMIT = { burst: 20, intervalMs: 1_000 };

/** Texts in events come from anywhere, and thousands of events are kept. */
const MESSAGE_BYTES_MAX = 4 * 1024;
const ATTRIBUTE_BYTES_MAX = 1024;

export interface RecordedEvent {
  readonly revision: number;
  readonly timeMs: number;
  readonly type: EventType;
  readonly severity: EventSeverity;
  readonly pool: string;
  readonly pid: number;
  readonly reason: string;
  readonly message: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Who asked for it; "": nobody. */
  readonly actor: string;
}

export interface EventDetails {
  pool?: string;
  pid?: number;
  reason?: string;
  message: string;
  attributes?: Record<string, string | number | undefined>;
  /** Who asked for it. Absent: nobody did. */
  actor?: string | undefined;
}

/** The newest events, numbered, and those who watch them. */
export class EventLog {
  readonly #clock: Clock;
  readonly #redact: (text: string) => string;
  readonly #ring: EventRing<RecordedEvent>;
  readonly #floods: FloodLimit<{ type: EventType; details: EventDetails }>;
  #revision = 0;
  readonly #watchers = new Set<(event: RecordedEvent) => void>();

  /** @param redact takes secrets out of what is told */
  constructor(capacity: number, clock: Clock = systemClock, redact: (text: string) => string = (text) => text) {
    this.#clock = clock;
    this.#redact = redact;
    this.#ring = new EventRing(capacity);
    this.#floods = new FloodLimit(clock, FLOOD_LIMIT, ({ type, details }, leftOut) =>
      this.#add(type, leftOut === 0 ? details : withCount(details, leftOut)),
    );
  }

  /** Revision of the newest event; 0 before the first. */
  get revision(): number {
    return this.#revision;
  }

  /** From this revision on none is missing. */
  get completeFrom(): number {
    return this.#ring.newestLost + 1;
  }

  record(type: EventType, details: EventDetails): void {
    const kept = bounded(details, this.#redact);
    if (FLOODS.has(type)) this.#floods.add(`${type} ${kept.pool ?? ""}`, { type, details: kept });
    else this.#add(type, kept);
  }

  #add(type: EventType, { pool = "", pid = 0, reason = "", message, attributes, actor = "" }: EventDetails): void {
    const event: RecordedEvent = {
      revision: ++this.#revision,
      timeMs: this.#clock.wallMs(),
      type,
      severity: EVENT_TYPES[type].severity,
      pool,
      pid,
      reason,
      message,
      attributes: attributes as Record<string, string>,
      actor,
    };
    this.#ring.push(event);
    for (const watcher of this.#watchers) watcher(event);
  }

  /** Events after a revision, oldest first; undefined if some of them are no longer kept. */
  since(revision: number): RecordedEvent[] | undefined {
    if (revision < this.#ring.newestLost) return undefined;
    return this.all().filter((event) => event.revision > revision);
  }

  all(): RecordedEvent[] {
    return this.#ring.all();
  }

  /** Calls back with every event from now on. Returns how to stop. */
  watch(watcher: (event: RecordedEvent) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

/** With texts of bounded size, and without attributes that say nothing. */
function bounded(details: EventDetails, redact: (text: string) => string): EventDetails {
  const attributes: Record<string, string> = {};
  for (const [key, value] of Object.entries(details.attributes ?? {}))
    if (value !== undefined && value !== "") attributes[key] = beginningOf(redact(String(value)), ATTRIBUTE_BYTES_MAX);
  return { ...details, message: beginningOf(redact(details.message), MESSAGE_BYTES_MAX), attributes };
}

/** The last of a flood speaks for those that were left out. */
function withCount(details: EventDetails, leftOut: number): EventDetails {
  const message = `${details.message} (and ${leftOut} more of this kind before it)`;
  return { ...details, message, attributes: { ...details.attributes, left_out: String(leftOut) } };
}
