import { chmodSync, existsSync, lstatSync, mkdirSync, type Stats, statSync } from "node:fs";
import { dirname, join } from "node:path";

/** What of the machine decides where running servers are noted down. */
export interface RunSettings {
  /** Undefined where users have no numbers: nothing is noted down there. */
  readonly uid: number | undefined;
  /** XDG_RUNTIME_DIR: only this user enters it, and it is gone with the session. */
  readonly userRuntimeDirectory: string | undefined;
  readonly temporaryDirectories: readonly string[];
  /** "/run": only root makes folders there. */
  readonly systemDirectory: string;
}

const NAME = "rrctl";
/** Others may pass, to sockets that their group may open, and not look around. */
const MODE = 0o711;

export function runSettings(
  env: Readonly<Record<string, string | undefined>>,
  temporaryDirectory: string,
  uid: number | undefined = process.getuid?.(),
): RunSettings {
  return {
    uid,
    userRuntimeDirectory: env.XDG_RUNTIME_DIR || undefined,
    temporaryDirectories: [...new Set([temporaryDirectory, "/tmp"])],
    systemDirectory: existsSync("/run") ? "/run" : "/var/run",
  };
}

interface Candidate {
  readonly path: string;
  /** Undefined: whoever made the folder above it has decided. */
  readonly owner: number | undefined;
}

/** Where a server notes itself down, the best first. `isShared`: others than this user are to get to its socket. */
function foldersToUse({ uid, ...places }: RunSettings, isShared: boolean): Candidate[] {
  if (uid === undefined) return [];
  const own = places.userRuntimeDirectory === undefined || isShared ? [] : [places.userRuntimeDirectory];
  const inSystem = { path: join(places.systemDirectory, NAME), owner: undefined };
  const inSession = own.map((directory) => ({ path: join(directory, NAME), owner: uid }));
  const [temporary] = places.temporaryDirectories;
  return [inSystem, ...inSession, { path: join(temporary!, `${NAME}-${uid}`), owner: uid }];
}

/** Where servers of this user, of root and of those users may have noted themselves down. */
export function foldersToSearch({ uid, ...places }: RunSettings, others: readonly number[]): Candidate[] {
  if (uid === undefined) return [];
  const owners = [...new Set([uid, ...others, 0])];
  const sessions = [
    ...(places.userRuntimeDirectory === undefined
      ? []
      : [{ path: join(places.userRuntimeDirectory, NAME), owner: uid }]),
    ...owners.map((owner) => ({ path: join(places.systemDirectory, "user", String(owner), NAME), owner })),
  ];
  return [
    { path: join(places.systemDirectory, NAME), owner: undefined },
    ...sessions,
    ...places.temporaryDirectories.flatMap((directory) =>
      owners.map((owner) => ({ path: join(directory, `${NAME}-${owner}`), owner })),
    ),
  ];
}

/** Whether nobody else can have put something into a folder. */
export function isTrusted({ path, owner }: Candidate): boolean {
  const stats = statsOf(path);
  if (!stats?.isDirectory() || (stats.mode & 0o022) !== 0) return false;
  if (owner !== undefined) return stats.uid === owner;
  // Root made the one above, so this one belongs to whom root wanted.
  const above = statsOf(dirname(path));
  return above?.uid === 0 && (above.mode & 0o022) === 0;
}

/** Makes, or finds, a folder of this user's own. Undefined, with the reasons: there is none. */
export function claimRunFolder(
  settings: RunSettings,
  isShared: boolean,
): { readonly path: string } | { readonly problems: readonly string[] } {
  const problems: string[] = [];
  for (const candidate of foldersToUse(settings, isShared)) {
    const problem = claim(candidate, settings.uid!);
    if (problem === undefined) return { path: candidate.path };
    problems.push(`${candidate.path} ${problem}`);
  }
  return { problems };
}

function claim(candidate: Candidate, uid: number): string | undefined {
  const { path } = candidate;
  try {
    if (!statsOf(path)) {
      // Nobody but root makes folders in /run.
      if (candidate.owner === undefined && uid !== 0) return "does not exist";
      mkdirSync(path, { mode: MODE });
    }
    const stats = statsOf(path);
    if (!stats?.isDirectory()) return "is no folder";
    if (stats.uid !== uid) return `belongs to another user (uid ${stats.uid})`;
    if ((stats.mode & 0o777) !== MODE) chmodSync(path, MODE);
    return isTrusted(candidate) ? undefined : "may be changed by other users";
  } catch (thrown) {
    return `cannot be used: ${(thrown as Error).message}`;
  }
}

function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Owner of a file, who decides what is served from its folder; undefined: it is not there. */
export function ownerOf(path: string): number | undefined {
  try {
    return statSync(path).uid;
  } catch {
    return undefined;
  }
}
