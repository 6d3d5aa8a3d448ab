import { isIP } from "node:net";

/** Only this machine gets there. Names other than "localhost" may mean any address. */
export function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "::1") return true;
  if (/^::ffff:127\./i.test(host)) return true;
  return isIP(host) === 4 && host.startsWith("127.");
}

/** What an address of the control API asks of its callers, and who gets to it. */
export interface ControlExposure {
  readonly listen: { readonly kind: "tcp"; readonly host: string; readonly port: number } | { readonly kind: "unix" } | undefined;
  readonly isEncrypted: boolean;
  readonly hasTokens: boolean;
  readonly hasCertificates: boolean;
}

/** What keeps an address from being opened, with what to write instead; undefined: nothing. */
export function exposureProblem({ listen, isEncrypted, hasTokens, hasCertificates }: ControlExposure): string | undefined {
  if (listen?.kind !== "tcp" || isLoopback(listen.host)) return undefined;
  const missing = [
    ...(isEncrypted ? [] : ["`tls: {cert: control.crt, key: control.key}`"]),
    ...(hasTokens || hasCertificates ? [] : ["`tokens: control.tokens` (which `rrctl token create` writes)"]),
  ];
  if (missing.length === 0) return undefined;
  return (
    `other machines reach ${listen.host}:${listen.port}, so it needs encryption and callers who say who they are: ` +
    `add ${missing.join(" and ")} to \`control\`, or listen on 127.0.0.1`
  );
}

/** Undefined: callers say who they are, or the system keeps all others away. */
export function exposureWarning({ listen, hasTokens, hasCertificates }: ControlExposure): string | undefined {
  if (listen?.kind !== "tcp" || hasTokens || hasCertificates) return undefined;
  return (
    `every user and program of this machine controls the server: control.listen is ${listen.host}:${listen.port} and asks ` +
    "nobody who he is; leave control.listen out for a socket of your own, or add control.tokens"
  );
}
