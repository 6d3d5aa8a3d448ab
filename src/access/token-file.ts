import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { isRole, ROLES, type Role } from "./role.ts";

/**
 * Tokens as a file keeps them, one a line: "name role sha256:hex". Tokens are 256 random bits: one round of a hash is
 * enough to keep whoever reads the file from using them.
 */
export interface TokenEntry {
  readonly name: string;
  readonly role: Role;
  /** SHA-256 of the token. */
  readonly hash: Buffer;
}

export interface ParsedTokens {
  readonly entries: readonly TokenEntry[];
  readonly problems: readonly { readonly line: number; readonly message: string }[];
}

/** So that tools that look for secrets in texts find it. */
const PREFIX = "rrctl_";
const RANDOM_BYTES = 32;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

export function createToken(): string {
  return PREFIX + randomBytes(RANDOM_BYTES).toString("base64url");
}

export function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

export function tokenLine(name: string, role: Role, token: string): string {
  return `${name} ${role} sha256:${hashOf(token).toString("hex")}`;
}

/** What is wrong with the name of a token; undefined: nothing. */
export function tokenNameProblem(name: string): string | undefined {
  if (NAME.test(name)) return undefined;
  return 'a name has at most 64 letters, digits and any of ". _ @ -", and starts with a letter or a digit';
}

/** Never repeats what stands in a line that is wrong: it may be a token. */
export function parseTokens(text: string): ParsedTokens {
  const entries: TokenEntry[] = [];
  const problems: { line: number; message: string }[] = [];
  const names = new Set<string>();
  for (const [index, written] of text.split(/\r?\n/).entries()) {
    const line = written.trim();
    if (line === "" || line.startsWith("#")) continue;
    const entry = parseLine(line);
    const problem = typeof entry === "string" ? entry : names.has(entry.name) ? "a name stands there twice" : undefined;
    if (problem !== undefined) problems.push({ line: index + 1, message: problem });
    else {
      names.add((entry as TokenEntry).name);
      entries.push(entry as TokenEntry);
    }
  }
  return { entries, problems };
}

function parseLine(line: string): TokenEntry | string {
  const [name = "", role = "", digest = "", ...rest] = line.split(/\s+/);
  const hex = /^sha256:([0-9a-f]{64})$/i.exec(digest)?.[1];
  if (hex === undefined || rest.length > 0) return 'expected "name role sha256:hex" as `rrctl token create` writes it';
  if (!isRole(role)) return `expected one of the roles ${ROLES.join(", ")}`;
  return tokenNameProblem(name) ?? { name, role, hash: Buffer.from(hex, "hex") };
}

/** The entry of a token. Takes as long for one that is nearly right as for any other. */
export function findToken(entries: readonly TokenEntry[], token: string): TokenEntry | undefined {
  const hash = hashOf(token);
  let found: TokenEntry | undefined;
  for (const entry of entries) if (timingSafeEqual(entry.hash, hash)) found = entry;
  return found;
}
