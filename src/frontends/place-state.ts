/** Where a place for a frontend is in its life, and where it can go from there. A place outlives its processes. */
const NEXT_STATES = {
  /** No process: the next one is started after a pause, which may be none. */
  waiting: ["starting", "closed"],
  /** A process is being started, or does not take connections yet. */
  starting: ["listening", "closing", "waiting"],
  listening: ["closing", "waiting"],
  /** The process was told to end. */
  closing: ["closed"],
  /** For good. */
  closed: [],
} as const satisfies Record<string, readonly string[]>;

export type PlaceState = keyof typeof NEXT_STATES;

/** The new state. A move that the table does not have is a bug and throws. */
export function transition(from: PlaceState, to: PlaceState): PlaceState {
  if (!(NEXT_STATES[from] as readonly PlaceState[]).includes(to))
    throw new Error(`a place for a frontend cannot go from ${from} to ${to}`);
  return to;
}
