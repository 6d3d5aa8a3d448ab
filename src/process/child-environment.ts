import { type Identity, resolveUser, type UserEntry } from "./identity.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What programs need whoever starts them. */
const ALWAYS_PASSED = /^(?:PATH|TZ|LANG|LANGUAGE|LC_[A-Z]+|TMPDIR|HOME|USER|LOGNAME|SHELL|PWD|SystemRoot|TEMP|TMP)$/i;

/** They say where things of the user are who started the server. */
const OF_THE_OTHER_USER = ["MAIL", "OLDPWD"];
const OF_THE_OTHER_SESSION =
  /^(?:XDG_(?:RUNTIME_DIR|(?:CONFIG|CACHE|DATA|STATE)_HOME|SESSION_\w+)|DBUS_SESSION_BUS_ADDRESS)$/;

/**
 * The environment that a process gets from the server's: all of it, as with RoadRunner, or what is named. A process of
 * another user gets HOME and the like of that user: programs write their caches there, and look for secrets there.
 *
 * @param passed names of variables; undefined: all
 * @param user that the process runs as, if it is not that of the server
 */
export function childEnvironment(
  base: Environment,
  passed: readonly string[] | undefined,
  user: UserEntry | undefined,
): Environment {
  const names = passed && new Set(passed);
  const kept = Object.entries(base).filter(
    ([name]) =>
      (names === undefined || names.has(name) || ALWAYS_PASSED.test(name)) &&
      !(user && (OF_THE_OTHER_USER.includes(name) || OF_THE_OTHER_SESSION.test(name))),
  );
  return {
    ...Object.fromEntries(kept),
    ...(user && { HOME: user.home, USER: user.name, LOGNAME: user.name, SHELL: user.shell }),
  };
}

/** The entry of a user that is another one than that of this process; undefined: it is the same, or there is none. */
export function otherUser(user: string | undefined, key: Identity["key"]): UserEntry | undefined {
  if (user === undefined || process.platform === "win32") return undefined;
  const entry = resolveUser(user, key);
  return entry.uid === process.getuid?.() ? undefined : entry;
}
