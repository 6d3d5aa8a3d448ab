import { once } from "node:events";
import { Deadline } from "../async/deadline.ts";
import { type EndPlan, planEnd } from "../async/end-plan.ts";
import { type Clock, systemClock } from "../clock.ts";
import { RrError } from "../errors.ts";
import type { Log } from "../log.ts";

export interface StopTimes {
  /** For the whole end, in milliseconds. */
  readonly gracePeriodMs: number;
  /** How much of it load balancers get to notice. */
  readonly drainDelayMs: number;
}

/** What killed processes take to be seen as gone. */
const LATE_MS = 500;
/** After a bug of our own nobody knows what state the process is in: what runs gets this long at most. */
const AFTER_BUG_MS = 5_000;
const CRASHES_LOGGED_MAX = 10;
/** A terminal and whoever stands between it and this program (npm, npx) each hand on one Ctrl-C. */
const SAME_KEY_PRESS_MS = 500;

export const EXIT_ASKED = 0;
export const EXIT_HURRIED = 1;
/** What sysexits.h calls an internal software error. */
export const EXIT_BUG = 70;

/** Once somebody wants the server to end: who, by a signal or a call, by when, and with which exit code. */
export class StopRequest {
  readonly #times: StopTimes;
  readonly #log: Log;
  readonly #exit: (code: number) => void;
  readonly #clock: Clock;
  readonly #asked = new AbortController();
  /** Of the first request: there is one deadline, whatever follows. */
  #plan: EndPlan | undefined;
  #exitCode = EXIT_ASKED;
  #crashes = 0;
  /** When Ctrl-C came, in monotonic milliseconds. */
  #interruptedAtMs = Number.NEGATIVE_INFINITY;

  /** @param exit ends the process at once */
  constructor(times: StopTimes, log: Log, exit: (code: number) => void, clock: Clock = systemClock) {
    this.#times = times;
    this.#log = log;
    this.#exit = exit;
    this.#clock = clock;
  }

  /** Aborts when somebody has asked. */
  get signal(): AbortSignal {
    return this.#asked.signal;
  }

  /** Begins the one period in which everything ends. */
  request(timeoutMs: number = this.#times.gracePeriodMs): void {
    if (this.#plan) return;
    this.#plan = planEnd(timeoutMs, this.#times.drainDelayMs, this.#clock);
    this.#asked.abort(new RrError("CANCELLED", "the server was asked to end while it started"));
  }

  /** The first signal asks, a second one hurries. */
  signalled(signal: string): void {
    if (!this.#plan) {
      this.#log.info({ signal }, `asked to end: running calls have ${this.#times.gracePeriodMs / 1000} s`);
      if (signal === "SIGINT") this.#interruptedAtMs = this.#clock.monotonicMs();
      this.request();
      return;
    }
    // A terminal that is closed sends several of these.
    if (signal === "SIGHUP") return;
    const isSameKeyPress = signal === "SIGINT" && this.#clock.monotonicMs() - this.#interruptedAtMs < SAME_KEY_PRESS_MS;
    if (isSameKeyPress) return;
    this.#log.warn({ signal }, "asked to end a second time: ending at once");
    this.#exit(EXIT_HURRIED);
  }

  /** Something threw that nobody caught: what runs gets a short time, and then the process ends with a code that says so. */
  crashed(thrown: unknown): void {
    const { message, stack } = thrown instanceof Error ? thrown : { message: String(thrown), stack: undefined };
    // One that comes with every turn must not fill a disk in the time that is left.
    if (this.#crashes++ < CRASHES_LOGGED_MAX)
      this.#log.error({ event: "process.crashed", stack }, `a bug of the server, not of yours, ends it: ${message}`);
    this.#exitCode = EXIT_BUG;
    this.request(Math.min(AFTER_BUG_MS, this.#times.gracePeriodMs));
  }

  /** True if a start was broken off by the request; false if it is done. Rejects if it failed. */
  async comesFirst(start: Promise<void>): Promise<boolean> {
    try {
      await start;
      return false;
    } catch (thrown) {
      if (!this.signal.aborted) throw thrown;
      return true;
    }
  }

  /** Waits for the request and ends everything in its time. Settles with the exit code. */
  async end(stop: (plan: EndPlan) => Promise<void>): Promise<number> {
    if (!this.signal.aborted) await once(this.signal, "abort");
    const { gone } = this.#plan!;
    const stopped = stop(this.#plan!).then(
      () => true,
      (thrown: unknown) => this.crashed(thrown),
    );
    const ended = (await gone.race(stopped)) ?? (await Deadline.after(LATE_MS, this.#clock).race(stopped));
    if (ended) this.#log.info({}, "stopped");
    else this.#log.error({}, "something did not end in time: the process ends without it");
    return this.#exitCode;
  }
}
