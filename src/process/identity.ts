import { readFileSync } from "node:fs";
import { RrError } from "../errors.ts";
import type { SocketRights } from "../net/unix-socket.ts";

/** Who a process runs as. */
export interface Identity {
  /** Names or numeric ids. */
  readonly user: string | undefined;
  readonly group: string | undefined;
  /** Section of the configuration that has them as "user" and "group". */
  readonly key: "server" | "server.on_init" | "http" | "http.fcgi" | "control";
}

/** What the system knows of a user. */
export interface UserEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

/**
 * Numeric ids of a user and a group given by name or number. The user's own group unless another is named.
 *
 * @throws RrError CONFIG_INVALID: there is no such user or group
 */
export function resolveIdentity(
  user: string | undefined,
  group: string | undefined,
  key: Identity["key"] = "server",
): { uid?: number; gid?: number } {
  if (user === undefined && group === undefined) return {};
  if (process.platform === "win32")
    throw new RrError(
      "CONFIG_INVALID",
      `${key}.${user === undefined ? "group" : "user"} "${user ?? group}" cannot be used on Windows: remove it from the configuration`,
    );
  const entry = user === undefined ? undefined : resolveUser(user, key);
  const gid = group === undefined ? entry?.gid : Number(lookUp("/etc/group", group, `${key}.group`)[2]);
  return { ...(entry && { uid: entry.uid }), ...(gid !== undefined && { gid }) };
}

/** @throws RrError CONFIG_INVALID: there is no such user */
export function resolveUser(user: string, key: Identity["key"]): UserEntry {
  const [name = "", , uid, gid, , home = "/", shell = "/bin/sh"] = lookUp("/etc/passwd", user, `${key}.user`);
  return { name, uid: Number(uid), gid: Number(gid), home, shell };
}

/** Fields of the line whose name or id is asked for. */
function lookUp(file: string, wanted: string, key: string): string[] {
  const lines = readFileSync(file, "utf8").split("\n");
  const found = lines.map((line) => line.split(":")).find(([name, , id]) => name === wanted || id === wanted);
  if (!found) throw new RrError("CONFIG_INVALID", `${key}: "${wanted}" is not in ${file}: name one that exists`);
  return found;
}

/** Of a socket for processes of that user: they may connect, and nobody else but this user. */
export function socketRightsFor({ user, group, key }: Partial<Identity>): SocketRights {
  const identity = resolveIdentity(user, group, key);
  return { mode: identity.uid === undefined && identity.gid === undefined ? 0o600 : 0o660, ...identity };
}

/** Of a socket that only the group of that name or id shares. */
export function groupRights(mode: number, group: string | undefined, key: Identity["key"]): SocketRights {
  return { mode, ...resolveIdentity(undefined, group, key) };
}
