import type { ServerCredentials, ServerInterceptor } from "@grpc/grpc-js";
import { readTokenFile, TokenStore } from "../access/token-store.ts";
import type { ControlOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Address } from "../net/address.ts";
import type { SocketRights } from "../net/unix-socket.ts";
import { resolveIdentity } from "../process/identity.ts";
import { ControlCredentials } from "./control-credentials.ts";
import type { Door } from "./door.ts";
import { peerCertificate } from "./peer-certificate.ts";

/** How one address is opened: who is let in, by which sign, and over what. */
export interface Entrance {
  readonly door: Door;
  /** Who may connect to a socket in the file system. */
  readonly rights: SocketRights;
  /** How to make the folder of a socket in the file system again; by default as one for this user alone. */
  readonly makeFolder?: () => void;
  readonly credentials?: ServerCredentials | undefined;
  readonly interceptors?: readonly ServerInterceptor[];
}

export const FRONTENDS_ENTRANCE: Entrance = { door: { kind: "frontends" }, rights: { mode: 0o600 } };

/**
 * The entrance for operators at an address. Throws CONFIG_INVALID if the tokens or certificates are not what they should
 * be, or the group does not exist.
 *
 * @param signal ends the looks at the files
 */
export function controlEntrance(address: Address, control: ControlOptions, signal: AbortSignal, log: Log): Entrance {
  const rights = rightsOf(control);
  const { tls, tokensFile } = control;
  const tokens = tokensFile === undefined ? undefined : openTokens(tokensFile, log);
  if (address.kind === "unix") return { door: { kind: "socket", tokens }, rights };
  const certificateRoles = tls?.clientCaFile === undefined ? undefined : tls.roles;
  const isIdentified = tokens !== undefined || certificateRoles !== undefined;
  return {
    door: isIdentified ? { kind: "identified", tokens, certificateRoles } : { kind: "open" },
    rights,
    credentials: tls && ControlCredentials.open(tls, signal, log),
    interceptors: certificateRoles ? [peerCertificate] : [],
  };
}

/** A file that cannot be trusted is a reason not to start; later it is a reason to let nobody in by a token. */
function openTokens(file: string, log: Log): TokenStore {
  const read = readTokenFile(file);
  if ("problem" in read) throw new RrError("CONFIG_INVALID", `control.tokens: ${read.problem}`);
  return new TokenStore(file, log);
}

function rightsOf({ socket: { mode, group } }: ControlOptions): SocketRights {
  if (group === undefined) return { mode };
  return { mode, gid: resolveIdentity(undefined, group, "control").gid };
}
