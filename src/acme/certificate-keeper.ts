import { setTimeout as sleep } from "node:timers/promises";
import type { AcmeOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import { connectAuthority, explained } from "./authority.ts";
import { CacheFolder, factsOf } from "./cache-folder.ts";
import { type OrderReason, orderReason, renewalTimeMs } from "./certificate-need.ts";
import { ChallengeAnswers } from "./challenge-answers.ts";
import { orderCertificate } from "./order.ts";
import { allowedAtMs, RETRY_TIMING, type RetryTiming, retryDelayMs, withFailure } from "./retry.ts";

/** The files are looked at by then in any case: someone else may have changed them, and machines sleep. */
const LOOK_MS_MAX = 12 * 3_600_000;
/** Timers may come a moment before their time. */
const LOOK_MS_MIN = 250;

export interface CertificateKeeperParts {
  readonly events: EventLog;
  readonly log: Log;
  /** For tests that cannot wait. */
  readonly timing?: RetryTiming;
}

const WHY: Readonly<Record<OrderReason, string>> = {
  missing: "there is none",
  "other-domains": "the one there is is for other names",
  "other-authority": "the one there is is of another authority",
  expiring: "the one there is is near its end",
};

/**
 * Sees to it that there is a certificate in the folder, from which the frontends load it. Works in the background: what
 * goes wrong is logged, recorded as an event and tried again later.
 */
export class CertificateKeeper {
  readonly #options: AcmeOptions;
  readonly #events: EventLog;
  readonly #log: Log;
  readonly #timing: RetryTiming;
  readonly #folder: CacheFolder;
  readonly #stop = new AbortController();
  /** One for the life of the server: with a new one each time the earliest would win. */
  readonly #jitter = Math.random();
  #failures = 0;
  /** Of the certificate in the folder; undefined: there is none. */
  #expiresMs: number | undefined;
  #running: Promise<void> | undefined;

  constructor(options: AcmeOptions, { events, log, timing = RETRY_TIMING }: CertificateKeeperParts) {
    this.#options = options;
    this.#events = events;
    this.#log = log;
    this.#timing = timing;
    this.#folder = new CacheFolder(options.cacheDirectory);
  }

  /**
   * Makes the folder: before frontends start, which watch it.
   *
   * @throws RrError FAILED_PRECONDITION: it cannot be written to
   */
  async prepare(): Promise<void> {
    await this.#folder.prepare();
  }

  /** Returns at once. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Breaks off what is under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const waitMs = await this.#look().catch((thrown: Error) => (signal.aborted ? 0 : this.#failed(thrown)));
      // Rejects when it is broken off, and that ends the loop.
      await sleep(Math.min(Math.max(waitMs, LOOK_MS_MIN), LOOK_MS_MAX), undefined, { signal }).catch(() => undefined);
    }
  }

  /** Orders a certificate if it is time for that. Returns how long nothing is to be done. */
  async #look(): Promise<number> {
    const nowMs = Date.now();
    const stored = await this.#folder.certificate();
    this.#expiresMs = stored?.validToMs;
    const reason = orderReason(stored, this.#options, nowMs, this.#jitter);
    if (reason === undefined) return renewalTimeMs(stored!, this.#jitter) - nowMs;
    const allowedMs = allowedAtMs(await this.#folder.failures(this.#options), nowMs, this.#timing);
    if (allowedMs > nowMs) {
      const at = new Date(allowedMs).toISOString();
      const message = `A certificate is to be ordered, but after the failures before not until ${at}`;
      this.#log.warn({ event: "certificate.held_back", at }, message);
      return allowedMs - nowMs;
    }
    await this.#order(reason);
    return 0;
  }

  async #order(reason: OrderReason): Promise<void> {
    const { signal } = this.#stop;
    const { domains, directoryUrl } = this.#options;
    const names = domains.join(", ");
    const authority = new URL(directoryUrl).host;
    const about = { domains: names, authority, why: reason };
    this.#log.info(
      { event: "certificate.order", ...about },
      `A certificate for ${names} is ordered from ${authority}: ${WHY[reason]}`,
    );
    const answers = new ChallengeAnswers(this.#options, this.#log);
    try {
      await answers.open();
      const connection = await connectAuthority(this.#options, await this.#folder.accountKey(), signal);
      const { key, chain } = await orderCertificate(connection, this.#options, answers, signal);
      signal.throwIfAborted();
      const facts = factsOf(chain, directoryUrl);
      await this.#folder.storeCertificate(key, chain, directoryUrl);
      const wrong = orderReason(facts, this.#options, Date.now(), this.#jitter);
      // Ordering the same again and again would be a loop, and authorities count.
      if (wrong !== undefined)
        throw new RrError(
          "UNAVAILABLE",
          `the certificate that came is to be replaced at once (${wrong}): is the clock of this machine right?`,
        );
      await this.#folder.forgetFailures();
      this.#failures = 0;
      const expires = new Date(facts.validToMs).toISOString();
      const message = `${authority} gave a certificate for ${names}, valid until ${expires}`;
      this.#events.record("certificate.ordered", { message, attributes: { ...about, expires } });
      this.#log.info({ event: "certificate.ordered", ...about, expires }, message);
    } finally {
      await answers.close();
    }
  }

  /** Returns how long to wait. */
  async #failed(thrown: unknown): Promise<number> {
    const { domains } = this.#options;
    const { message: why, reason, retryAfterMs = 0 } = explained(thrown, this.#options);
    const nowMs = Date.now();
    this.#failures++;
    const record = withFailure(await this.#folder.failures(this.#options), nowMs, retryAfterMs, this.#timing);
    await this.#folder.storeFailures(record).catch((error: Error) => {
      this.#log.warn({ event: "certificate.not_noted" }, `The failure could not be noted: ${error.message}`);
    });
    const delayMs = Math.max(
      retryDelayMs(this.#failures, retryAfterMs, this.#jitter, this.#timing),
      allowedAtMs(record, nowMs, this.#timing) - nowMs,
    );
    const expires = this.#expiresMs === undefined ? undefined : new Date(this.#expiresMs).toISOString();
    const fields = {
      domains: domains.join(", "),
      attempt: this.#failures,
      retry_at: new Date(nowMs + delayMs).toISOString(),
      expires,
    };
    const inUse = expires === undefined ? "there is none in use" : `the one in use is valid until ${expires}`;
    const message = `No certificate for ${fields.domains}: ${why}; it is tried again at ${fields.retry_at}, ${inUse}`;
    this.#events.record("certificate.failed", { reason, message, attributes: fields });
    this.#log.error({ event: "certificate.failed", reason, ...fields }, message);
    return delayMs;
  }
}
