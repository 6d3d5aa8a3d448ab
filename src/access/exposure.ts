import { type Address, isLoopback, plainAddress } from "../net/address.ts";

/** What an address of the control API asks of its callers, and who gets to it. */
export interface ControlExposure {
  /** Undefined: the socket that rrctl finds by itself is all there is. */
  readonly listen: Address | undefined;
  readonly isEncrypted: boolean;
  readonly hasTokens: boolean;
  readonly hasCertificates: boolean;
}

/** What keeps an address from being opened, with what to write instead; undefined: nothing. */
export function exposureProblem({
  listen,
  isEncrypted,
  hasTokens,
  hasCertificates,
}: ControlExposure): string | undefined {
  if (listen?.kind !== "tcp" || isLoopback(listen.host)) return undefined;
  const missing = [
    ...(isEncrypted ? [] : ["`tls: {cert: control.crt, key: control.key}`"]),
    ...(hasTokens || hasCertificates ? [] : ["`tokens: control.tokens` (which `rrctl token create` writes)"]),
  ];
  if (missing.length === 0) return undefined;
  return (
    `other machines reach ${plainAddress(listen)}, so it needs encryption and callers who say who they are: ` +
    `add ${missing.join(" and ")} to \`control\`, or listen on 127.0.0.1`
  );
}

/** Undefined: callers say who they are, or the system keeps all others away. */
export function exposureWarning({ listen, hasTokens, hasCertificates }: ControlExposure): string | undefined {
  if (listen?.kind !== "tcp" || hasTokens || hasCertificates) return undefined;
  return (
    `every user and program of this machine controls the server: ${plainAddress(listen)} asks nobody who he is; leave ` +
    "control.listen out for a socket of your own, or add control.tokens"
  );
}
