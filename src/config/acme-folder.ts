import { join } from "node:path";

/**
 * What the core and the frontends know of each other in `http.ssl.acme.cache_dir`: the core lays answers to challenges
 * there, the frontends show them.
 */
export const CHALLENGES = "challenges";

/** Protocol by which an authority asks for a tls-alpn-01 answer (RFC 8737, 6.2). */
export const ACME_TLS = "acme-tls/1";

/** Tokens come from the authority and from requests: anything else may be a path out of the folder. */
export function isToken(text: string): boolean {
  return /^[\w-]{1,200}$/.test(text);
}

/** Answer to http-01: the key authorization. */
export function tokenFile(cacheDirectory: string, token: string): string {
  return join(cacheDirectory, CHALLENGES, token);
}

/** Answer to tls-alpn-01: key and certificate, PEM. No token has a dot. */
export function alpnFile(cacheDirectory: string, domain: string): string {
  return join(cacheDirectory, CHALLENGES, `${domain}.pem`);
}
