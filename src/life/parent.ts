import { every } from "../async/every.ts";
import { FIRST_PARENT_PID } from "./first-parent.ts";

/** How often the parent is looked at. */
const LOOK_EVERY_MS = 500;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Whether this program was started by one that stands for somebody else, and has no business without it: npm hands a
 * signal to the shell between, which dies of it and tells nobody. Others say so by a variable of the environment.
 */
export function endsWithParent(env: Environment): boolean {
  return env.RRCTL_END_WITH_PARENT === "1" || env.npm_lifecycle_event !== undefined;
}

/**
 * Calls back once when the process that started this one is gone: the system gives an orphan another parent. Does nothing
 * where it was an orphan from the start, as a program is that its shell put into the background.
 */
export function watchParent(
  gone: () => void,
  parentPid: () => number = () => process.ppid,
  intervalMs = LOOK_EVERY_MS,
  first = FIRST_PARENT_PID,
): void {
  if (first <= 1) return;
  const stop = new AbortController();
  every(
    intervalMs,
    stop.signal,
    () => {
      if (parentPid() === first) return;
      stop.abort();
      gone();
    },
    () => {},
  );
}
