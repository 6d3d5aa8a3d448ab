/** What is known of a certificate in the folder. */
export interface CertificateFacts {
  /** In lower case. */
  readonly domains: readonly string[];
  readonly validFromMs: number;
  readonly validToMs: number;
  /** The authority it was ordered from; undefined: another program laid it there. */
  readonly directoryUrl: string | undefined;
}

export interface WantedCertificate {
  /** In lower case, each once. */
  readonly domains: readonly string[];
  readonly directoryUrl: string;
}

/** Why a certificate is to be ordered: there is none, it is for other names, of another authority, or near its end. */
export type OrderReason = "missing" | "other-domains" | "other-authority" | "expiring";

/**
 * When a certificate is to be replaced: with a third of its life left, or up to a thirtieth of its life later, so that
 * machines that started together do not ask together. `jitter` is from 0 to 1.
 */
export function renewalTimeMs(
  { validFromMs, validToMs }: Pick<CertificateFacts, "validFromMs" | "validToMs">,
  jitter: number,
): number {
  const lifeMs = validToMs - validFromMs;
  return validFromMs + (lifeMs * 2) / 3 + (lifeMs / 30) * jitter;
}

/** Undefined: the certificate will do for now. */
export function orderReason(
  stored: CertificateFacts | undefined,
  { domains, directoryUrl }: WantedCertificate,
  nowMs: number,
  jitter: number,
): OrderReason | undefined {
  if (stored === undefined) return "missing";
  const names = new Set(stored.domains);
  if (names.size !== domains.length || !domains.every((domain) => names.has(domain))) return "other-domains";
  if (stored.directoryUrl !== undefined && stored.directoryUrl !== directoryUrl) return "other-authority";
  return nowMs >= renewalTimeMs(stored, jitter) ? "expiring" : undefined;
}
