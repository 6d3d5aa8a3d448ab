const FIRST_DELAY_MS = 100;
const DELAY_MS_MAX = 30_000;

/** Failures in a row after which a pool without workers counts as failing. */
export const FAILURES_TO_FAILING = 2;

/** How long to wait before the next boot, after so many failures in a row: 0, then 100 ms, doubling up to 30 s. */
export function respawnDelayMs(failuresInARow: number): number {
  if (failuresInARow === 0) return 0;
  return Math.min(FIRST_DELAY_MS * 2 ** Math.min(failuresInARow - 1, 20), DELAY_MS_MAX);
}

/** A worker that dies this young without having finished a call counts as a failed boot. */
export const YOUNG_WORKER_MS = 1_000;
