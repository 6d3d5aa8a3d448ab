import { FloodLimit } from "../async/flood-limit.ts";
import type { Clock } from "../clock.ts";
import type { Fields, Log } from "../log.ts";

/** Lines that clients and applications can cause are told a few times at once, then once a second with their number. */
const LINES = { burst: 20, intervalMs: 1_000 };
/** Of requests that are turned away because of what the server is, not of what they are, one a second says it all. */
const REFUSALS = { burst: 1, intervalMs: 1_000 };
const REFUSAL_REASONS: ReadonlySet<unknown> = new Set([
  "QUEUE_FULL",
  "QUEUE_WAIT_EXCEEDED",
  "POOL_PAUSED",
  "CRASH_LOOP",
  "STARTING",
  "DRAINING",
  "UNAVAILABLE",
]);
const KIND_CHARACTERS = 40;

interface Line {
  readonly log: Log;
  readonly level: "warn" | "error";
  readonly fields: Fields;
  readonly message: string;
}

/**
 * A log whose warnings and errors cannot flood: those of one kind (`event`, `reason` and `pool`; the beginning of the
 * message where there is no event) are limited together, also those of its children. Other lines are complete.
 */
export function floodLimited(log: Log, clock: Clock): Log {
  const tell = ({ log: target, level, fields, message }: Line, leftOut: number) => {
    if (leftOut === 0) target[level](fields, message);
    else target[level]({ ...fields, left_out: leftOut }, `${message} (and ${leftOut} more of this kind before it)`);
  };
  return limited(log, new FloodLimit(clock, LINES, tell), new FloodLimit(clock, REFUSALS, tell));
}

function limited(log: Log, lines: FloodLimit<Line>, refusals: FloodLimit<Line>): Log {
  const at = (level: Line["level"]) => (fields: Fields, message: string) => {
    const { event, reason, pool } = fields;
    const what = typeof event === "string" ? event : message.slice(0, KIND_CHARACTERS).replace(/\d.*/s, "");
    const limit = REFUSAL_REASONS.has(reason) ? refusals : lines;
    limit.add(`${level} ${what} ${reason ?? ""} ${pool ?? ""}`, { log, level, fields, message });
  };
  return {
    debugEnabled: log.debugEnabled,
    debug: log.debug,
    info: log.info,
    warn: at("warn"),
    error: at("error"),
    child: (fields) => limited(log.child(fields), lines, refusals),
  };
}
