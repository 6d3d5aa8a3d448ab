import type { Deadline } from "../async/deadline.ts";
import { RrError } from "../errors.ts";
import type { CallOptions, CallSink } from "../pool/call.ts";
import type { Pool } from "../pool/pool.ts";
import type { ResponseCounts } from "../pool/response-watch.ts";

export interface DispatchOptions extends CallOptions {
  /** "": the only pool, if there is just one. */
  pool: string;
}

/** What the caller of `dispatch` may do with a call. */
export interface DispatchedCall {
  /** Monotonic milliseconds at which a worker began the call; 0: none has. */
  readonly startedAtMs: number;
  resume(): void;
  cancel(): void;
}

const REFUSED: DispatchedCall = { startedAtMs: 0, resume: () => {}, cancel: () => {} };

/** The one door to the pools: finds the pool, and refuses before a call is made. */
export class Dispatcher {
  readonly #pools: ReadonlyMap<string, Pool>;

  constructor(pools: readonly Pool[]) {
    this.#pools = new Map(pools.map((pool) => [pool.name, pool]));
  }

  /** By name. */
  get pools(): readonly Pool[] {
    return [...this.#pools.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  get callsOpen(): number {
    let open = 0;
    for (const pool of this.#pools.values()) open += pool.callsOpen;
    return open;
  }

  /** The pool of that name; the only one for "". Throws POOL_NOT_FOUND or INVALID_REQUEST naming the known ones. */
  pool(name: string): Pool {
    const found = this.#pools.get(name);
    if (found) return found;
    const known = this.pools.map((pool) => pool.name);
    if (name === "" && known.length === 1) return this.#pools.get(known[0]!)!;
    const names = known.length > 0 ? known.map((one) => `"${one}"`).join(", ") : "none";
    if (name === "")
      throw new RrError("INVALID_REQUEST", `there are ${known.length} pools: name one of ${names}`, {
        violations: [{ field: "pool", description: `expected one of ${names}` }],
      });
    throw new RrError("POOL_NOT_FOUND", `there is no pool "${name}"; the pools are: ${names}`, {
      metadata: { pool: name, known: known.join(",") },
    });
  }

  /** What responses of a pool were like, as who has them reports it. A pool that is not there is no error. */
  countResponses(pool: string, counts: ResponseCounts): void {
    const name = pool === "" && this.#pools.size === 1 ? this.pools[0]!.name : pool;
    this.#pools.get(name)?.countResponses(counts);
  }

  /** Runs a call. Never throws: every failure reaches the sink. */
  dispatch(options: DispatchOptions, sink: CallSink): DispatchedCall {
    let pool: Pool;
    try {
      pool = this.pool(options.pool);
    } catch (thrown) {
      sink.failed(RrError.from(thrown));
      sink.settled?.();
      return REFUSED;
    }
    return pool.dispatch(options, sink);
  }

  /** Why a call would be refused now, so that nobody sends a body that nobody will read; undefined: it would not. */
  admission(pool: string): RrError | undefined {
    try {
      return this.pool(pool).admission();
    } catch (thrown) {
      return RrError.from(thrown);
    }
  }

  /** Refuses new calls in all pools. */
  drain(): void {
    for (const pool of this.#pools.values()) pool.drain();
  }

  /** Takes calls again in all pools. */
  undrain(): void {
    for (const pool of this.#pools.values()) pool.undrain();
  }

  async whenIdle(deadline: Deadline): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.whenIdle(deadline)));
  }
}
