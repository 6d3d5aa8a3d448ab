import type { Metadata } from "nice-grpc-common";
import type { Role } from "../access/role.ts";
import type { TokenEntry } from "../access/token-file.ts";
import { RrError } from "../errors.ts";
import { CALLER_METADATA } from "../grpc/caller-metadata.ts";
import type { Caller } from "./caller.ts";
import { CERTIFICATE_METADATA } from "./peer-certificate.ts";

/** How callers of one address are known. */
export type Door =
  /** The socket of this server's own frontends, in a folder that nobody else enters. */
  | { readonly kind: "frontends" }
  /** A socket in the file system: whoever the system lets open it is an admin. */
  | { readonly kind: "socket"; readonly tokens: Tokens | undefined }
  /** An address of this machine that asks nobody. */
  | { readonly kind: "open" }
  | {
      readonly kind: "identified";
      readonly tokens: Tokens | undefined;
      /** Roles of certificates by common name, "*" for all others. */
      readonly certificateRoles: Readonly<Record<string, Role>> | undefined;
    };

interface Tokens {
  find(token: string): TokenEntry | undefined;
}

/** What a call brings along, where it matters here. */
export interface Knock {
  readonly metadata: Pick<Metadata, "get">;
  /** "host:port"; "unknown" for sockets in the file system. */
  readonly peer: string;
}

const CLAIM_CHARACTERS_MAX = 100;

/** Who calls. Throws UNAUTHENTICATED, which never repeats what was shown, or PERMISSION_DENIED. */
export function callerAt(door: Door, { metadata, peer }: Knock): Caller {
  // Browsers name the page that makes them call; programs do not.
  if (text(metadata, "origin") !== undefined)
    throw new RrError("PERMISSION_DENIED", "calls from web pages are refused: this one has a header Origin");
  switch (door.kind) {
    case "frontends":
      return { role: "frontend", actor: "a frontend of this server" };
    case "open":
      return { role: "admin", actor: describe(claimOf(metadata), `${peer}, not identified`) };
    case "socket": {
      // Whoever shows one wants to be no more than it says.
      const shown = tokenOf(metadata);
      if (shown !== undefined && door.tokens !== undefined) return ofToken(shown, door.tokens, "local socket");
      return { role: "admin", actor: describe(claimOf(metadata), "local socket") };
    }
    case "identified":
      return identified(door, metadata, peer);
  }
}

function identified(door: Door & { kind: "identified" }, metadata: Knock["metadata"], peer: string): Caller {
  const { tokens, certificateRoles } = door;
  const shown = tokenOf(metadata);
  if (shown !== undefined && tokens !== undefined) return ofToken(shown, tokens, peer);
  const name = certificateName(metadata);
  if (name !== undefined && certificateRoles !== undefined) {
    const role = own(certificateRoles, name) ?? own(certificateRoles, "*");
    const actor = describe(`certificate ${JSON.stringify(name)}`, peer);
    if (role !== undefined) return { role, actor };
    throw new RrError("PERMISSION_DENIED", `${actor} has no role here: name it in control.tls.roles`);
  }
  const ways = [
    ...(tokens ? ["a token (rrctl --token-file, or RRCTL_TOKEN_FILE)"] : []),
    ...(certificateRoles ? ["a certificate (rrctl --tls-cert and --tls-key)"] : []),
  ];
  throw new RrError("UNAUTHENTICATED", `the caller does not say who it is: show ${ways.join(" or ")}`);
}

function ofToken(token: string, tokens: Tokens, from: string): Caller {
  const entry = tokens.find(token);
  if (entry) return { role: entry.role, actor: describe(`token ${JSON.stringify(entry.name)}`, from) };
  throw new RrError(
    "UNAUTHENTICATED",
    "the token is not known here: it was taken out of control.tokens, or belongs to another server",
  );
}

function describe(name: string | undefined, from: string): string {
  return name === undefined ? from : `${name} (${from})`;
}

function tokenOf(metadata: Knock["metadata"]): string | undefined {
  const written = text(metadata, "authorization");
  return written === undefined ? undefined : (/^Bearer +(\S+)$/i.exec(written)?.[1] ?? "");
}

function certificateName(metadata: Knock["metadata"]): string | undefined {
  const encoded = text(metadata, CERTIFICATE_METADATA);
  return encoded === undefined ? undefined : decodeURIComponent(encoded);
}

/** What a caller says of itself, where the system has let in only those who may be believed. */
function claimOf(metadata: Knock["metadata"]): string | undefined {
  const claim = text(metadata, CALLER_METADATA)
    ?.replace(/[^\x20-\x7e]/g, "?")
    .slice(0, CLAIM_CHARACTERS_MAX);
  return claim === "" ? undefined : claim;
}

function text(metadata: Knock["metadata"], key: string): string | undefined {
  const value = metadata.get(key);
  return typeof value === "string" ? value : undefined;
}

function own(roles: Readonly<Record<string, Role>>, name: string): Role | undefined {
  return Object.hasOwn(roles, name) ? roles[name] : undefined;
}
