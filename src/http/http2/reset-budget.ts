import type { Clock } from "../../clock.ts";

export interface ResetLimits {
  /** At once. */
  readonly burst: number;
  readonly perSecond: number;
}

/**
 * How many requests a client may take back, or have ended by what it does wrong: each costs the server work and the client
 * nothing (rapid reset, CVE-2023-44487).
 */
export class ResetBudget {
  readonly #limits: ResetLimits;
  readonly #clock: Pick<Clock, "monotonicMs">;
  #left: number;
  #countedMs: number;

  constructor(limits: ResetLimits, clock: Pick<Clock, "monotonicMs">) {
    this.#limits = limits;
    this.#clock = clock;
    this.#left = limits.burst;
    this.#countedMs = clock.monotonicMs();
  }

  /** One more. Answers whether that is still within bounds. */
  spend(): boolean {
    const nowMs = this.#clock.monotonicMs();
    const gained = ((nowMs - this.#countedMs) / 1000) * this.#limits.perSecond;
    this.#left = Math.min(this.#limits.burst, this.#left + gained) - 1;
    this.#countedMs = nowMs;
    return this.#left >= 0;
  }
}

/** The library below has limits of its own, which newer versions of Node let be set, and blames the server. */
const OWN_LIMITS: ResetLimits = { burst: 2_000, perSecond: 200 };
const LIBRARY_DEFAULTS: ResetLimits = { burst: 1_000, perSecond: 33 };

/**
 * What clients are held to, and what Node is asked for so that it comes after that.
 *
 * @param nodeVersion "22.11.0"
 */
export function resetLimits(nodeVersion: string): { own: ResetLimits; options: Record<string, number> } {
  const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
  if (major < 22 || (major === 22 && minor < 11)) {
    const { burst, perSecond } = LIBRARY_DEFAULTS;
    return { own: { burst: burst * 0.9, perSecond }, options: {} };
  }
  const { burst, perSecond } = OWN_LIMITS;
  return { own: OWN_LIMITS, options: { streamResetBurst: burst * 10, streamResetRate: perSecond * 10 } };
}
