/** Where a worker is in its life, and where it can go from there. */
const NEXT_STATES = {
  booting: ["ready", "stopping", "killed", "exited"],
  ready: ["working", "stopping", "killed", "exited"],
  working: ["ready", "stopping", "killed", "exited"],
  stopping: ["killed", "exited"],
  killed: ["exited"],
  exited: [],
} as const satisfies Record<string, readonly string[]>;

export type WorkerState = keyof typeof NEXT_STATES;

export const WORKER_STATES = Object.keys(NEXT_STATES) as WorkerState[];

/** The new state. A move that the table does not have is a bug and throws. */
export function transition(from: WorkerState, to: WorkerState): WorkerState {
  if (!(NEXT_STATES[from] as readonly WorkerState[]).includes(to))
    throw new Error(`a worker cannot go from ${from} to ${to}`);
  return to;
}
