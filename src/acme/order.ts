import { setTimeout as sleep } from "node:timers/promises";
import type { Authorization, Order } from "acme-client";
import type { AcmeOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { Authority } from "./authority.ts";
import { newKey } from "./cache-folder.ts";
import type { ChallengeAnswers } from "./challenge-answers.ts";

/** How long an authority may take to check the names, or to sign. */
const PATIENCE_MS = 180_000;
const LOOK_MS_FIRST = 500;
const LOOK_MS_MAX = 5_000;

/** Both PEM; the chain has the certificate first. */
export interface OrderedCertificate {
  readonly key: string;
  readonly chain: string;
}

/**
 * One order from its beginning to the certificate (RFC 8555, 7.4).
 *
 * @throws RrError UNAVAILABLE: a name did not stand the check, or it took too long; what the library throws
 */
export async function orderCertificate(
  { client, crypto }: Authority,
  { email, domains, challenge }: AcmeOptions,
  answers: ChallengeAnswers,
  signal: AbortSignal,
): Promise<OrderedCertificate> {
  await client.createAccount({ termsOfServiceAgreed: true, contact: [`mailto:${email}`] });
  const order = await client.createOrder({ identifiers: domains.map((value) => ({ type: "dns", value })) });
  const pending = (await client.getAuthorizations(order)).filter(({ status }) => status === "pending");
  const chosen = pending.map((authorization) => challengeOf(authorization, challenge));
  for (const { authorization, challenge: one } of chosen) {
    const keyAuthorization = await client.getChallengeKeyAuthorization(one);
    if (challenge === "http-01") await answers.showText(one.token, keyAuthorization);
    else {
      const [key, certificate] = await crypto.createAlpnCertificate(authorization, keyAuthorization, newKey());
      await answers.showCertificate(authorization.identifier.value, key.toString(), certificate.toString());
    }
  }
  for (const { challenge: one } of chosen) await client.completeChallenge(one);
  const ready = await settled(client, order, ["ready", "valid"], signal);

  const key = newKey();
  const [, request] = await crypto.createCsr({ commonName: commonName(domains), altNames: [...domains] }, key);
  await client.finalizeOrder(ready, request);
  const valid = await settled(client, ready, ["valid"], signal);
  return { key, chain: await client.getCertificate(valid) };
}

type Challenge = Authorization["challenges"][number];

function challengeOf(
  authorization: Authorization,
  type: string,
): { authorization: Authorization; challenge: Challenge } {
  const challenge = authorization.challenges.find((one) => one.type === type);
  if (challenge !== undefined) return { authorization, challenge };
  const offered = authorization.challenges.map((one) => one.type).join(", ");
  const name = authorization.identifier.value;
  const message = `the authority does not check ${name} by ${type}, only by ${offered}: choose another http.ssl.acme.challenge_type`;
  throw new RrError("FAILED_PRECONDITION", message);
}

/** The subject may have 64 characters; names that are longer stand in the alternative names alone. */
function commonName(domains: readonly string[]): string {
  return domains.find((domain) => domain.length <= 64) ?? "";
}

/** Looks at the order until it is in one of the states. */
async function settled(
  client: Authority["client"],
  order: Order,
  states: readonly Order["status"][],
  signal: AbortSignal,
): Promise<Order> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (let waitMs = LOOK_MS_FIRST; ; waitMs = Math.min(waitMs * 1.5, LOOK_MS_MAX)) {
    signal.throwIfAborted();
    const seen = await client.getOrder(order);
    if (states.includes(seen.status)) return seen;
    if (seen.status === "invalid") throw await refusal(client, seen);
    if (performance.now() > deadlineMs)
      throw new RrError("UNAVAILABLE", `the order is "${seen.status}" after ${PATIENCE_MS / 1000} s`);
    await sleep(waitMs, undefined, { signal });
  }
}

/** The authority tells of the checks what it found. */
async function refusal(client: Authority["client"], order: Order): Promise<RrError> {
  const authorizations = await client.getAuthorizations(order);
  const found = authorizations.flatMap(({ identifier, challenges }) =>
    challenges.flatMap(({ error }) => {
      const detail = (error as { detail?: string } | undefined)?.detail;
      return detail === undefined ? [] : [`${identifier.value}: ${detail}`];
    }),
  );
  const general = (order as { error?: { detail?: string } }).error?.detail ?? "it does not say why";
  const reason = found.length > 0 ? found.join("; ") : general;
  return new RrError("UNAVAILABLE", `the authority did not find what it looked for: ${reason.replace(/\s+/g, " ")}`);
}
