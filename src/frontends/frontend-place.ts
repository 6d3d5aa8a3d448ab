import { Backoff } from "../async/backoff.ts";
import type { EndPlan } from "../async/end-plan.ts";
import type { Clock, StopTimer } from "../clock.ts";
import { RrError } from "../errors.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import type { ChildProcess } from "../process/child-process.ts";
import type { MessageFromFrontend, MessageToFrontend } from "./frontend-messages.ts";
import { type PlaceState, transition } from "./place-state.ts";

/** What a place needs of a process; the rest of ChildProcess is not its business. */
export type FrontendProcess = Pick<ChildProcess, "pid" | "exited" | "exitStatus" | "onMessage" | "send" | "signal">;

export interface FrontendPlaceOptions {
  /** Starts a process and tells it what to do. May reject: then it is tried again. */
  readonly startProcess: () => Promise<FrontendProcess>;
  /** A process that does not react is killed, and so replaced. */
  readonly replacesHung: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventLog;
}

/** Longest time from the start of a process until it takes connections. */
const START_TIMEOUT_MS = 15_000;
/** One that took connections for so long is started again at once. */
const STABLE_AFTER_MS = 10_000;
const PAUSES = { firstMs: 100, maxMs: 5_000, factor: 2 };
/**
 * A process that has not answered so many questions in a row does nothing any more: it is stopped, or runs in a circle.
 * Questions are counted, not time: while this process itself stands still none is asked.
 */
const QUESTION_EVERY_MS = 3_000;
const QUESTIONS_UNANSWERED_MAX = 5;

/** Keeps one frontend running: whatever ends it, or keeps it from starting, another one is tried, for ever. */
export class FrontendPlace {
  readonly #options: FrontendPlaceOptions;
  readonly #backoff = new Backoff(PAUSES);
  #state: PlaceState = "waiting";
  #process: FrontendProcess | undefined;
  #startedAtMs = 0;
  #starts = 0;
  /** Until a process has taken connections once, the server has not started; what fails then is told to who starts it. */
  #hasListened = false;
  /** Why there is none that takes connections; "" if there is. */
  #problem = "";
  #coreProblem = "";
  /** Ends a pause, or a wait of `stop`. */
  #stopRequested: (() => void) | undefined;
  #plan: EndPlan | undefined;
  /** Settles when the place is closed. */
  #running: Promise<void> | undefined;

  constructor(options: FrontendPlaceOptions) {
    this.#options = options;
  }

  get state(): PlaceState {
    return this.#state;
  }

  /** Undefined: no process now. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Wall-clock milliseconds. */
  get startedAtMs(): number {
    return this.#startedAtMs;
  }

  get restarts(): number {
    return Math.max(0, this.#starts - 1);
  }

  get problem(): string {
    return this.#problem;
  }

  /** Why the process cannot reach a core; "" if it can. */
  get coreProblem(): string {
    return this.#coreProblem;
  }

  /** Settles when the first process takes connections. Rejects, and is closed then, if it does not come to that. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#running = this.#run(resolve, reject);
    });
  }

  send(message: MessageToFrontend): void {
    if (this.#process) tell(this.#process, message);
  }

  /** Lets the process finish what runs, also one that is only being started; kills it if it is not gone in time. */
  async stop(plan: EndPlan): Promise<void> {
    this.#plan = plan;
    if (this.#process) this.#close(this.#process, plan);
    this.#stopRequested?.();
    await this.#running;
  }

  async #run(listening: () => void, failed: (error: RrError) => void): Promise<void> {
    while (!this.#plan) {
      const pauseMs = await this.#attempt(listening);
      if (!this.#hasListened && !this.#plan) {
        this.#move("closed");
        failed(new RrError("FAILED_PRECONDITION", this.#problem));
        return;
      }
      if (!this.#plan && pauseMs > 0) await this.#pause(pauseMs);
    }
    this.#move("closed");
    failed(new RrError("DRAINING", "the server ends"));
  }

  /** One process, from its start to its end. Settles with the pause before the next one, in milliseconds. */
  async #attempt(listening: () => void): Promise<number> {
    this.#move("starting");
    let process: FrontendProcess;
    try {
      process = await this.#options.startProcess();
    } catch (thrown) {
      if (!this.#plan) return this.#notStarted(RrError.from(thrown).message);
      this.#move("closing");
      return 0;
    }
    this.#starts++;
    this.#process = process;
    this.#coreProblem = "";
    this.#startedAtMs = this.#options.clock.wallMs();
    const watch = this.#watch(process, listening);
    if (this.#plan) this.#close(process, this.#plan);
    await process.exited;
    this.#process = undefined;
    const { listenedMs, killedFor } = watch.end();
    return this.#plan ? 0 : this.#exited(process, listenedMs, killedFor);
  }

  /** Looks after a process while it lives. */
  #watch(process: FrontendProcess, listening: () => void) {
    const { clock, log, events } = this.#options;
    let listensSinceMs: number | undefined;
    let killedFor: string | undefined;
    let unanswered = 0;
    let stopTimer: StopTimer = () => {};
    const kill = (reason: string) => {
      killedFor = reason;
      process.signal("SIGKILL");
    };
    const ask = () => {
      if (this.#plan) return;
      if (unanswered >= QUESTIONS_UNANSWERED_MAX)
        return kill(`did not react for ${(QUESTION_EVERY_MS * QUESTIONS_UNANSWERED_MAX) / 1000} s`);
      unanswered++;
      tell(process, { type: "ping" });
      stopTimer = clock.after(QUESTION_EVERY_MS, ask);
    };
    stopTimer = clock.after(START_TIMEOUT_MS, () => kill(`took no connections within ${START_TIMEOUT_MS / 1000} s`));
    process.onMessage((message) => {
      const said = message as MessageFromFrontend;
      if (said.type === "pong") unanswered = 0;
      else if (said.type === "core") this.#coreTold(process.pid, said.problem);
      else if (said.type === "listening" && listensSinceMs === undefined && !this.#plan) {
        stopTimer();
        listensSinceMs = clock.monotonicMs();
        this.#move("listening");
        this.#hasListened = true;
        this.#problem = "";
        const text = `HTTP frontend ${process.pid} takes connections`;
        log.debug({ pid: process.pid }, text);
        events.record("frontend.started", { pid: process.pid, message: text });
        listening();
        if (this.#options.replacesHung) ask();
      }
    });
    const end = () => {
      stopTimer();
      return { listenedMs: listensSinceMs === undefined ? 0 : clock.monotonicMs() - listensSinceMs, killedFor };
    };
    return { end };
  }

  #coreTold(pid: number, problem: string | undefined): void {
    const { events } = this.#options;
    this.#coreProblem = problem ?? "";
    if (problem === undefined)
      events.record("frontend.core_found", { pid, message: `HTTP frontend ${pid} reaches the core again` });
    else
      events.record("frontend.core_lost", {
        pid,
        reason: "UNAVAILABLE",
        message: `HTTP frontend ${pid} cannot reach the core: ${problem}`,
      });
  }

  #close(process: FrontendProcess, { close, gone }: EndPlan): void {
    if (this.#state === "closing") return;
    this.#move("closing");
    tell(process, { type: "close", timeoutMs: close.remainingMs });
    void gone.race(process.exited).then((exit) => {
      if (!exit) process.signal("SIGKILL");
    });
  }

  /** Returns the pause, in milliseconds. */
  #notStarted(why: string): number {
    const pauseMs = this.#backoff.failed();
    this.#move("waiting");
    const message = `an HTTP frontend cannot be started: ${why}`;
    const isNew = this.#hasListened && message !== this.#problem;
    this.#problem = message;
    const text = `${message}; tried again, after growing pauses of at most ${PAUSES.maxMs / 1000} s`;
    // Once for each reason: it is tried for ever.
    if (isNew) {
      this.#options.log.error({ event: "frontend.start_failed" }, text);
      this.#options.events.record("frontend.start_failed", { reason: "BOOT_FAILED", message: text });
    }
    return pauseMs;
  }

  /** Returns the pause, in milliseconds. */
  #exited({ pid, exitStatus }: FrontendProcess, listenedMs: number, killedFor: string | undefined): number {
    const { log, events } = this.#options;
    const wasStable = listenedMs >= STABLE_AFTER_MS;
    if (wasStable) this.#backoff.succeeded();
    const pauseMs = this.#backoff.failed();
    this.#move("waiting");
    const how = killedFor === undefined ? "ended by itself" : `${killedFor}, was killed`;
    const exit = { exit_code: exitStatus?.code ?? undefined, signal: exitStatus?.signal ?? undefined };
    const message = `HTTP frontend ${pid} ${how} and is started again`;
    this.#problem =
      listenedMs > 0 ? `HTTP frontend ${pid} ${how}` : "the HTTP frontend did not start: its reason is printed above";
    if (!this.#hasListened) return 0;
    log.error({ event: "frontend.exited", pid, ...exit }, message);
    const reason = killedFor === undefined ? "FRONTEND_EXITED" : "FRONTEND_HUNG";
    events.record("frontend.exited", { pid, reason, message, attributes: exit });
    // A first end may be an accident; the next process is not worth a wait.
    return this.#backoff.failuresInARow === 1 ? 0 : pauseMs;
  }

  #pause(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const stopTimer = this.#options.clock.after(pauseMs, resolve);
      this.#stopRequested = () => {
        stopTimer();
        resolve();
      };
    });
  }

  #move(to: PlaceState): void {
    this.#state = transition(this.#state, to);
  }
}

function tell(process: FrontendProcess, message: MessageToFrontend): void {
  process.send(message);
}
