/** What its workers make of a pool that takes calls. */
export type WorkforceCondition = "booting" | "serving" | "degraded" | "failing";

interface StateRules {
  readonly next: readonly string[];
  /** It is whatever its workers make of it, and changes with them. */
  readonly followsWorkers: boolean;
  /** Operators may change its workers. */
  readonly changeable: boolean;
}

const WITH_ITS_WORKERS = { followsWorkers: true, changeable: true } as const;

/** What a pool is doing, where it can go from there, and what holds meanwhile. */
const POOL_STATES = {
  /** The first workers start, or the only ones have gone and their successors start. Calls wait. */
  booting: { ...WITH_ITS_WORKERS, next: ["serving", "degraded", "failing", "paused", "draining", "stopped"] },
  serving: { ...WITH_ITS_WORKERS, next: ["booting", "degraded", "failing", "paused", "draining", "stopped"] },
  /** It takes calls, but new workers do not boot: those there go on and are not recycled. */
  degraded: { ...WITH_ITS_WORKERS, next: ["booting", "serving", "failing", "paused", "draining", "stopped"] },
  /** No worker is left and none boots; it is tried again with growing pauses. Calls fail at once. */
  failing: { ...WITH_ITS_WORKERS, next: ["booting", "serving", "degraded", "paused", "draining", "stopped"] },
  /** Calls are refused until an operator resumes it; its workers stay, and may be changed. */
  paused: {
    followsWorkers: false,
    changeable: true,
    next: ["booting", "serving", "degraded", "failing", "draining", "stopped"],
  },
  /** It finishes what it has and takes nothing new, until that is undone, or for good. Its workers may be changed. */
  draining: {
    followsWorkers: false,
    changeable: true,
    next: ["booting", "serving", "degraded", "failing", "paused", "stopped"],
  },
  stopped: { followsWorkers: false, changeable: false, next: [] },
} as const satisfies Record<string, StateRules>;

export type PoolState = keyof typeof POOL_STATES;

export const POOL_STATE_NAMES = Object.keys(POOL_STATES) as PoolState[];

/** The new state. A move that the table does not have is a bug and throws; to stay where it is is no move. */
export function poolTransition(from: PoolState, to: PoolState): PoolState {
  const next: readonly PoolState[] = POOL_STATES[from].next;
  if (from !== to && !next.includes(to)) throw new Error(`a pool cannot go from ${from} to ${to}`);
  return to;
}

export function rulesOf(state: PoolState): StateRules {
  return POOL_STATES[state];
}
