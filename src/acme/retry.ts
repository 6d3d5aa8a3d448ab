const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** How attempts follow each other. */
export interface RetryTiming {
  /** Wait after the first failure; it doubles with each one that follows. */
  readonly firstMs: number;
  readonly longestMs: number;
  /** At most so many failures within the window, whatever was started in between. */
  readonly failuresMax: number;
  readonly windowMs: number;
}

/** Let's Encrypt takes five failed checks of a name in an hour: those at 0, 2, 6, 14 and 30 minutes. */
export const RETRY_TIMING: RetryTiming = {
  firstMs: 2 * MINUTE_MS,
  longestMs: 6 * HOUR_MS,
  failuresMax: 5,
  windowMs: HOUR_MS,
};

/** The longest that an authority's wish is followed: what it says may be wrong, too. */
const WISH_MS_MAX = 7 * 24 * HOUR_MS;

/**
 * How long to wait after a failure.
 *
 * @param failures in a row, this one included
 * @param wishMs what the authority asked for (Retry-After), counted from now
 * @param jitter from 0 to 1: up to a tenth more
 */
export function retryDelayMs(failures: number, wishMs: number, jitter: number, timing = RETRY_TIMING): number {
  const doubledMs = Math.min(timing.firstMs * 2 ** Math.min(failures - 1, 30), timing.longestMs);
  return Math.max(doubledMs * (1 + jitter / 10), Math.min(wishMs, WISH_MS_MAX));
}

/** Failures of the same order, kept over restarts: a server that is restarted again and again must not ask each time. */
export interface FailureRecord {
  readonly directoryUrl: string;
  readonly domains: readonly string[];
  /** The oldest first. */
  readonly failedAtMs: readonly number[];
  /** What the authority asked for; 0: nothing. */
  readonly notBeforeMs: number;
}

/** The record with one failure more, and without those that count no longer. */
export function withFailure(
  record: FailureRecord,
  nowMs: number,
  wishMs: number,
  timing = RETRY_TIMING,
): FailureRecord {
  const failedAtMs = [...record.failedAtMs.filter((atMs) => nowMs - atMs < timing.windowMs), nowMs];
  return {
    ...record,
    failedAtMs: failedAtMs.slice(-timing.failuresMax),
    notBeforeMs: wishMs > 0 ? nowMs + Math.min(wishMs, WISH_MS_MAX) : 0,
  };
}

/** When the next attempt is allowed; in the past or now: at once. */
export function allowedAtMs(record: FailureRecord, nowMs: number, timing = RETRY_TIMING): number {
  // What lies in the future was written by a clock that was wrong.
  const recent = record.failedAtMs.filter((atMs) => atMs <= nowMs && nowMs - atMs < timing.windowMs);
  const full = recent.length >= timing.failuresMax ? recent.at(-timing.failuresMax)! + timing.windowMs : 0;
  const wished = record.notBeforeMs - nowMs > WISH_MS_MAX ? 0 : record.notBeforeMs;
  return Math.max(full, wished);
}
