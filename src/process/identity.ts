import { readFileSync } from "node:fs";
import { RrError } from "../errors.ts";

/**
 * Numeric ids of a user and a group given by name or number. The user's own group unless another is named.
 *
 * @param section where they are configured, for messages
 */
export function resolveIdentity(
  user: string | undefined,
  group: string | undefined,
  section = "server",
): { uid?: number; gid?: number } {
  if (user === undefined && group === undefined) return {};
  if (process.platform === "win32")
    throw new RrError(
      "CONFIG_INVALID",
      `${section}.${user === undefined ? "group" : "user"} "${user ?? group}" cannot be used on Windows: remove it from the configuration`,
    );
  const passwd = user === undefined ? undefined : lookUp("/etc/passwd", user, `${section}.user`);
  const gid = group === undefined ? passwd?.[3] : lookUp("/etc/group", group, `${section}.group`)[2];
  return { ...(passwd && { uid: Number(passwd[2]) }), ...(gid !== undefined && { gid: Number(gid) }) };
}

/** Fields of the line whose name or id is asked for. */
function lookUp(file: string, wanted: string, key: string): string[] {
  const lines = readFileSync(file, "utf8").split("\n");
  const found = lines.map((line) => line.split(":")).find(([name, , id]) => name === wanted || id === wanted);
  if (!found) throw new RrError("CONFIG_INVALID", `${key}: "${wanted}" is not in ${file}: name one that exists`);
  return found;
}

/** Of a socket for processes of that user: they may connect, and nobody else but this user. */
export function socketRightsFor({ user, group }: { user?: string | undefined; group?: string | undefined }): {
  mode: number;
  uid?: number;
  gid?: number;
} {
  const identity = resolveIdentity(user, group);
  return { mode: identity.uid === undefined && identity.gid === undefined ? 0o600 : 0o660, ...identity };
}
