import type { ErrorReason } from "../errors.ts";

/** What is known of a core when a call looks for one. */
export interface CoreCandidate {
  readonly connected: boolean;
  /** Calls of this client that run there. */
  readonly openCalls: number;
  /** Whether the pool takes calls there, by what the core says of its health; true as long as it has said nothing. */
  serves(pool: string): boolean;
}

/**
 * Where a call goes: of the cores whose pool is healthy the one with the fewest calls, the next in turn among equals. If
 * none is healthy, any that is connected: it knows best what to answer. Undefined: there is none to ask.
 *
 * @param turn where to begin; a number that grows with every call
 * @param refusedBy cores that have turned this call away
 */
export function chooseCore<Core extends CoreCandidate>(
  cores: readonly Core[],
  pool: string,
  turn: number,
  refusedBy: ReadonlySet<Core> | undefined,
): Core | undefined {
  let best: Core | undefined;
  let bestServes = false;
  for (let at = 0; at < cores.length; at++) {
    const core = cores[(turn + at) % cores.length]!;
    if (!core.connected || refusedBy?.has(core)) continue;
    const serves = core.serves(pool);
    const isBetter = serves === bestServes ? best === undefined || core.openCalls < best.openCalls : serves;
    if (!isBetter) continue;
    best = core;
    bestServes = serves;
  }
  return best;
}

/** Reasons with which a core turns a call away before any worker has seen it. */
const REFUSALS: ReadonlySet<ErrorReason> = new Set([
  "DRAINING",
  "STARTING",
  "POOL_PAUSED",
  "POOL_NOT_FOUND",
  "QUEUE_FULL",
  "BOOT_FAILED",
  "BOOT_TIMEOUT",
  "CRASH_LOOP",
]);

/** How far a call had come when it failed. */
export interface CallProgress {
  readonly idempotent: boolean;
  /** Some of the reply has come. */
  readonly answered: boolean;
  /** All that was said of the call is still at hand. */
  readonly repeatable: boolean;
  /** All of the request has left for the core: a worker may have it. */
  readonly complete: boolean;
  /** Workers that may still begin it. */
  readonly attemptsLeft: number;
}

/**
 * Workers that may begin an idempotent call, whoever repeats it: the pool when a worker dies, or this client when a core
 * is gone. A request that takes them down with it must not visit them all.
 */
export const ATTEMPTS_MAX = 3;

/**
 * Whether a call that a core turned away may go to another one.
 *
 * @param begun a worker had begun it: the core ended meanwhile
 */
export function mayGoElsewhere(
  reason: ErrorReason,
  { idempotent, answered, repeatable }: CallProgress,
  begun = false,
): boolean {
  return REFUSALS.has(reason) && repeatable && !answered && (idempotent || !begun);
}

/** Whether a call whose connection broke may be sent again: no worker can have had it, or twice does no harm. */
export function mayBeSentAgain({ idempotent, answered, repeatable, complete, attemptsLeft }: CallProgress): boolean {
  return repeatable && !answered && (idempotent || !complete) && attemptsLeft > 0;
}
