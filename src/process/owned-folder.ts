import { BIRTH_UNKNOWN } from "./birth.ts";

/**
 * Folders of temporary files that tell by their name whose they are, so that a later process can remove what one that was
 * killed left behind:
 *
 *   <prefix><world>-<pid>-<birth>-<random>
 */
export interface FolderOwner {
  readonly world: string;
  readonly pid: number;
  readonly birth: string;
}

/** A process of another world touches its folder every minute; after ten without that it is taken for dead. */
export const TOUCH_EVERY_MS = 60_000;
const SILENCE_MS = 10 * TOUCH_EVERY_MS;

/** All of the name but its random end. */
export function ownedPrefix(prefix: string, { world, pid, birth }: FolderOwner): string {
  return `${prefix}${world}-${pid}-${birth}-`;
}

/** Undefined: the name is none of those. */
export function ownerOf(prefix: string, name: string): FolderOwner | undefined {
  if (!name.startsWith(prefix)) return undefined;
  const match = /^([0-9a-f]{8})-(\d+)-(\d+)-\w+$/.exec(name.slice(prefix.length));
  return match ? { world: match[1]!, pid: Number(match[2]), birth: match[3]! } : undefined;
}

export type Verdict = "alive" | "dead" | "undecided";

/**
 * Whether the process that owns a folder may still use it. Ids of processes mean nothing outside of their world: other
 * containers and machines may share the file system.
 *
 * @param birth of the process with that id now; undefined: there is none
 */
export function judgeOwner(
  owner: FolderOwner,
  touchedMs: number,
  nowMs: number,
  world: string,
  birth: (pid: number) => string | undefined,
): Verdict {
  if (owner.world !== world) return nowMs - touchedMs > SILENCE_MS ? "dead" : "undecided";
  const present = birth(owner.pid);
  if (present === undefined) return "dead";
  if (present === BIRTH_UNKNOWN || owner.birth === BIRTH_UNKNOWN || present === owner.birth) return "alive";
  return "dead";
}
