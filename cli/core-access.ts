import { setTimeout as delay } from "node:timers/promises";
import { Backoff } from "../src/async/backoff.ts";
import type { CoreClient } from "../src/client/core-client.ts";
import { RrError } from "../src/errors.ts";
import { locateCore } from "./address.ts";
import { callerName, readCredentials } from "./credentials.ts";
import { Interrupted } from "./failure.ts";
import type { CoreAccess, CoreLocation, GlobalOptions } from "./invocation.ts";
import { formatDuration } from "./output/format.ts";
import { withProgress } from "./progress.ts";
import type { Environment, Terminal } from "./terminal.ts";

export interface CoreAccessOptions {
  globals: GlobalOptions;
  env: Environment;
  terminal: Terminal;
  /** Longest wait for one answer. */
  timeoutMs: number;
  /** Asked when something is waited for; ends with Ctrl-C. */
  interruption: () => AbortSignal;
}

/** Timers take no more; it is 24 days. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** Between attempts to find a core again that was restarted. */
const RECONNECT_PAUSES = { firstMs: 200, maxMs: 2_000, factor: 2 };

/** The core ends, is not there, or is not there yet. */
function isAway(thrown: unknown): boolean {
  return ["UNAVAILABLE", "DRAINING", "STARTING"].includes(RrError.from(thrown).reason);
}

/** The core, found and connected when it is first asked. */
export class LazyCoreAccess implements CoreAccess {
  readonly #options: CoreAccessOptions;
  #location: Promise<CoreLocation> | undefined;
  #client: Promise<CoreClient> | undefined;
  /** Set as soon as the address is known, for messages about failures. */
  located: CoreLocation | undefined;

  constructor(options: CoreAccessOptions) {
    this.#options = options;
  }

  location(): Promise<CoreLocation> {
    this.#location ??= locateCore(this.#options.globals, this.#options.env).then((location) => {
      this.located = location;
      return location;
    });
    return this.#location;
  }

  #connect(): Promise<CoreClient> {
    // gRPC is most of this program's start: only what asks the core loads it.
    const { globals, env } = this.#options;
    this.#client ??= Promise.all([
      import("../src/client/core-client.ts"),
      this.location(),
      readCredentials(globals, env),
    ]).then(([{ connectCore }, { address }, credentials]) =>
      connectCore(address, { credentials, caller: callerName(env) }),
    );
    return this.#client;
  }

  async ask<Result>(label: string, work: (core: CoreClient, signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const { interruption, timeoutMs, terminal } = this.#options;
    const core = await this.#connect();
    const interrupted = interruption();
    const timeout = AbortSignal.timeout(Math.min(Math.ceil(timeoutMs), TIMER_MAX_MS));
    try {
      return await withProgress(terminal.messages, label, () => work(core, AbortSignal.any([interrupted, timeout])));
    } catch (thrown) {
      if (interrupted.aborted) throw new Interrupted();
      if (timeout.aborted)
        throw new RrError(
          "DEADLINE_EXCEEDED",
          `${label}: no answer from ${this.located!.address} within ${formatDuration(timeoutMs)}`,
          { cause: thrown },
        );
      throw thrown;
    }
  }

  async *follow<Item>(open: (core: CoreClient, signal: AbortSignal) => AsyncIterable<Item>): AsyncIterable<Item> {
    const core = await this.#connect();
    const interrupted = this.#options.interruption();
    const { messages } = this.#options.terminal;
    const pauses = new Backoff(RECONNECT_PAUSES);
    let answered = false;
    for (;;) {
      try {
        for await (const item of open(core, interrupted)) {
          if (pauses.failuresInARow > 0) messages.write(`${this.located!.address} answers again\n`);
          pauses.succeeded();
          answered = true;
          yield item;
        }
      } catch (thrown) {
        // What never answered is a wrong address sooner than a restart.
        if (!interrupted.aborted && !(answered && isAway(thrown))) throw thrown;
      }
      if (interrupted.aborted) return;
      if (pauses.failuresInARow === 0)
        messages.write(`${this.located!.address} does not answer any more: waiting for it, until Ctrl-C\n`);
      await delay(pauses.failed(), undefined, { signal: interrupted }).catch(() => {});
    }
  }

  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    client?.close();
  }
}
