import type { Deadline } from "../async/deadline.ts";
import { RrError } from "../errors.ts";
import type { Call, CallOptions, CallSink } from "../pool/call.ts";
import type { Pool } from "../pool/pool.ts";

export interface DispatchOptions extends CallOptions {
  /** "": the only pool, if there is just one. */
  pool: string;
  /** Longest time for the whole call; 0: as long as the pool allows. */
  timeoutMs: number;
}

/** What the caller of `dispatch` may do with a call. */
export interface DispatchedCall {
  resume(): void;
  cancel(): void;
}

const REFUSED: DispatchedCall = { resume: () => {}, cancel: () => {} };

/** The one door to the pools: finds the pool, refuses while the server drains, keeps the caller's time limit. */
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
    return options.timeoutMs > 0 ? withTimeout(pool, options, sink) : pool.dispatch(options, sink);
  }

  /** Refuses new calls in all pools. */
  drain(): void {
    for (const pool of this.#pools.values()) pool.drain();
  }

  async whenIdle(deadline: Deadline): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.whenIdle(deadline)));
  }
}

function withTimeout(pool: Pool, options: DispatchOptions, sink: CallSink): DispatchedCall {
  let call: Call | undefined;
  const timer = setTimeout(() => {
    call?.cancel();
    sink.failed(
      new RrError(
        "DEADLINE_EXCEEDED",
        `the call to pool "${pool.name}" took longer than the ${options.timeoutMs} ms its caller gave it`,
        {
          metadata: { pool: pool.name, limit_ms: options.timeoutMs },
        },
      ),
    );
  }, options.timeoutMs);
  call = pool.dispatch(options, {
    reply: (part, pid) => {
      if (!part.more) clearTimeout(timer);
      return sink.reply(part, pid);
    },
    failed: (error) => {
      clearTimeout(timer);
      sink.failed(error);
    },
    settled: () => sink.settled?.(),
  });
  const dispatched = call;
  return {
    resume: () => dispatched.resume(),
    cancel: () => {
      clearTimeout(timer);
      dispatched.cancel();
    },
  };
}
