import type { Deadline } from "../async/deadline.ts";
import { type ErrorReason, RrError } from "../errors.ts";
import type { WorkerMessageListener, WorkerProtocol, WorkerReply } from "../goridge/worker-protocol.ts";
import { ChildProcess, type ExitStatus } from "../process/child-process.ts";
import { StreamRelay } from "../relay/stream-relay.ts";
import { explainBootFailure } from "./boot-failure.ts";
import { CallRun, type RunOwner } from "./call-run.ts";
import type { Execution } from "./execution.ts";
import { explainExit } from "./exit-explanation.ts";
import { printable } from "./printable.ts";
import { RollingDeadline } from "./rolling-deadline.ts";
import { WorkerChannel } from "./worker-channel.ts";
import type { WorkerEnvironment, WorkerObserver } from "./worker-environment.ts";
import { transition, type WorkerState } from "./worker-state.ts";

/** After the channel of a worker closed, its process has this long to end by itself. */
const EXIT_AFTER_CLOSE_MS = 1_000;
/** What an idle worker prints so soon after an answer was printed for that call. */
const OUTPUT_AFTER_ANSWER_MS = 50;
/** Errors travel in one message with their metadata. */
const STRAY_TEXT_MAX = 4096;
const NO_BYTES: Buffer = Buffer.alloc(0);

/** One PHP process: boot, calls one at a time, stop. */
export class Worker implements WorkerMessageListener, RunOwner {
  readonly pid: number;
  readonly generation: number;
  readonly startedAtMs: number;
  /** Start of the process to ready; 0 while it boots. */
  bootTimeMs = 0;
  /** Calls after which it is replaced; 0: never. */
  readonly executionsMax: number;
  executions = 0;
  /** Monotonic; undefined before the first call. */
  lastUsedAtMs: number | undefined;
  /** Monotonic; when its latest call began, 0 before the first one. */
  executionStartedAtMs = 0;
  /** Why it is leaving, or will after its call: "max_jobs", "ttl", "reset", ... "" if it stays. */
  leaving = "";
  /** Set by the supervisor. */
  memoryBytes = 0;
  memoryReadAtMs = 0;

  readonly channel: WorkerChannel;
  readonly #environment: WorkerEnvironment;
  readonly #observer: WorkerObserver;
  readonly #child: ChildProcess;
  #state: WorkerState = "booting";
  /** While it is working. */
  #run: CallRun | undefined;
  /** In debug mode: what PHP printed during the call. */
  #strayText = "";
  #lastRequestId = "";
  /** An error of which it is not certain yet that it answers the present call. */
  #heldError: string | undefined;
  /** How often it was asked who it is and has not said so yet. */
  #introductionsDue = 0;
  #idleToReport = false;
  readonly #execDeadline: RollingDeadline;
  /** Text on the channel before the worker was ready: PHP reports a missing script there. */
  #bootText = "";
  #bootTimedOut = false;
  #becameReady: () => void = () => {};
  /** The process is gone, what it wrote last is being read. */
  #gone = false;
  /** Why the server killed it. */
  #killError: RrError | undefined;

  private constructor(
    environment: WorkerEnvironment,
    observer: WorkerObserver,
    child: ChildProcess,
    identity: { generation: number; startedAtMs: number; executionsMax: number },
  ) {
    this.#environment = environment;
    this.#observer = observer;
    this.#child = child;
    this.pid = child.pid;
    this.generation = identity.generation;
    this.startedAtMs = identity.startedAtMs;
    this.executionsMax = identity.executionsMax;
    this.#execDeadline = new RollingDeadline(environment.options.supervisor.execTtlMs, environment.clock, () =>
      this.#execTimedOut(),
    );
    const reader = environment.protocol.createReader(this, environment.options.frameBytesMax);
    this.channel = new WorkerChannel(reader, {
      afterRead: () => this.#afterRead(),
      closed: () => this.#channelClosed(),
    });
    void child.exited.then((exit) => this.#ended(exit));
  }

  /**
   * Starts a process and waits until it says that it is ready. Rejects with BOOT_FAILED, BOOT_TIMEOUT or CANCELLED,
   * and the process is gone then.
   */
  static async boot(
    environment: WorkerEnvironment,
    observer: WorkerObserver,
    identity: { generation: number; executionsMax: number },
    signal: AbortSignal,
  ): Promise<Worker> {
    const { options, clock, log, socketListener } = environment;
    const startedAtMs = clock.monotonicMs();
    let worker: Worker | undefined;
    const child = await ChildProcess.start({
      command: options.command,
      workingDirectory: options.workingDirectory,
      env: { ...environment.baseEnv, ...options.env },
      user: options.user,
      group: options.group,
      stdio: socketListener ? "log" : "channel",
      onLine: (line, stream) => {
        const requestId = worker?.requestIdOfOutput;
        const fields = { pid: worker?.pid, ...(requestId && { request_id: requestId }) };
        log.info(stream === "stdout" ? { ...fields, stream } : fields, line);
      },
    });
    worker = new Worker(environment, observer, child, { ...identity, startedAtMs });
    await worker.#becomeReady(signal);
    return worker;
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Id of the call it runs; "" if none. */
  get requestId(): string {
    return this.#run?.requestId ?? "";
  }

  /** Id of the call that a line of output now belongs to: its pipe may be read a moment after the answer. */
  get requestIdOfOutput(): string {
    if (this.#state === "working" || this.lastUsedAtMs === undefined) return this.requestId;
    return this.#environment.clock.monotonicMs() - this.lastUsedAtMs < OUTPUT_AFTER_ANSWER_MS
      ? this.#lastRequestId
      : "";
  }

  get exited(): Promise<ExitStatus> {
    return this.#child.exited;
  }

  /** Runs a call. The worker must be ready. */
  execute(execution: Execution): void {
    this.#state = transition(this.#state, "working");
    this.#run = new CallRun(execution, this);
    this.executionStartedAtMs = this.#environment.clock.monotonicMs();
    this.#strayText = "";
    this.#execDeadline.start();
    this.#run.start();
  }

  /** After `Execution.reply` returned false. */
  resumeReply(): void {
    if (this.#run) this.#run.resume();
    else this.channel.resume();
  }

  /** Nobody wants the reply of the present call any more. */
  abandon(): void {
    if (this.#state === "working") this.#run!.abandon();
  }

  /**
   * Asks an idle worker to end, then signals it, then kills it; any other is killed at once. Settles when it is gone.
   *
   * @param deadline by which it is killed, however far that has come; each step takes half of what is left at most
   */
  async stop(reason: string, deadline?: Deadline): Promise<void> {
    if (this.#state === "stopping") {
      if (deadline && !(await this.#goneWithin(deadline.remainingMs))) this.#killLate();
    } else if (this.#state === "ready") {
      this.leaving ||= reason;
      this.#state = transition(this.#state, "stopping");
      this.channel.write([this.protocol.encodeStop()]);
      const { stopGraceMs } = this.#environment.options;
      const politeMs = Math.min(stopGraceMs, (deadline?.remainingMs ?? Number.POSITIVE_INFINITY) / 2);
      if (await this.#goneWithin(politeMs)) return;
      this.#environment.log.warn(
        { pid: this.pid },
        `worker ${this.pid} did not end within ${Math.round(politeMs)} ms of the stop message: sending SIGTERM`,
      );
      this.#child.signal("SIGTERM");
      if (await this.#goneWithin(Math.min(stopGraceMs, deadline?.remainingMs ?? stopGraceMs))) return;
      this.#killLate();
    } else this.kill(this.#problem("WORKER_EXITED", `was killed: ${reason}`));
    await this.exited;
  }

  #killLate(): void {
    this.#environment.log.warn({ pid: this.pid }, `worker ${this.pid} ignored SIGTERM: killing it`);
    this.kill(this.#problem("WORKER_EXITED", "was killed: it did not end when it was asked to"));
  }

  /** The server ends and waits no longer: the call is told so, and the process is killed. */
  cutOff(): void {
    const { name } = this.#environment.options;
    const message = `worker ${this.pid} of pool "${name}" was stopped with the server before its call had ended`;
    // Whoever has another server must know that the call has begun here.
    const metadata = { pool: name, pid: this.pid, begun: "true" };
    this.kill(new RrError("DRAINING", message, { metadata, retryAfterMs: 1_000 }));
  }

  /** Ends the process group at once; a running call fails with this error. */
  kill(error: RrError): void {
    if (this.#state === "killed" || this.#state === "exited") return;
    this.#killError = error;
    this.leaving ||= error.reason;
    this.#state = transition(this.#state, "killed");
    this.#child.signal("SIGKILL");
    // It may have ended by itself already, and what it wrote last waits for a caller who does not take it.
    this.channel.giveUpReading();
  }

  // What its call tells.

  get protocol(): WorkerProtocol {
    return this.#environment.protocol;
  }

  get streamTimeoutMs(): number {
    return this.#environment.options.streamTimeoutMs;
  }

  progressed(): void {
    this.#execDeadline.start();
  }

  finished(): void {
    this.#lastRequestId = this.requestId;
    this.#run!.end();
    this.#run = undefined;
    this.executions++;
    this.lastUsedAtMs = this.#environment.clock.monotonicMs();
    this.#execDeadline.stop();
    // The end may come in the same chunk as the part that made the caller ask for a pause.
    if (this.channel.paused) this.channel.resume();
    this.#state = transition(this.#state, "ready");
    this.#idleToReport = true;
  }

  stopRequested(): void {
    const run = this.#run!;
    this.leaving ||= "asked_to_stop";
    this.finished();
    run.rerun();
  }

  broke(reason: ErrorReason, text: string): void {
    this.kill(this.#problem(reason, text));
  }

  // Messages from the worker.

  introduced(): void {
    if (this.#state === "booting") return this.#becameReady();
    if (this.#introductionsDue === 0) return this.violation("it introduced itself a second time", NO_BYTES);
    this.#introductionsDue--;
    const certain = this.#introductionsDue === 0 && this.#heldError !== undefined;
    if (certain && this.#state === "working") this.#failExecution();
  }

  reply(reply: WorkerReply): void {
    if (this.#state === "booting") return this.violation("it answered before it was asked", reply.body);
    if (this.#state !== "working") return this.#surplus(printable(reply.body), false);
    if (this.#run!.feeding) return this.violation("it answered before it had read its request", reply.body);
    this.#dropHeldError();
    this.#run!.reply(reply);
  }

  replyContinues(data: Buffer, missingBytes: number): void {
    if (this.#state === "working") this.#run!.replyContinues(data, missingBytes);
  }

  /**
   * The sample worker of the original's manual answers a request that failed and then reports an error on top. If that
   * error arrives after the next request was sent, it looks like its answer, and from then on every caller would get
   * the answer of the one before. So an error is held until the worker, asked who it is, says so: a worker that is
   * still busy with the request answers that first.
   */
  error(text: string): void {
    if (this.#state !== "working") return this.#surplus(text, true);
    if (this.#run!.feeding) return this.violation("it failed before it had read its request", Buffer.from(text));
    this.#dropHeldError();
    this.#heldError = text;
    this.#introductionsDue++;
    this.channel.write([this.protocol.encodePid(process.pid)]);
  }

  /** Another answer followed it, so it belonged to the call before. */
  #dropHeldError(): void {
    if (this.#heldError === undefined) return;
    this.#observer.surplusAnswer(this, this.#heldError, true);
    this.#heldError = undefined;
  }

  #failExecution(): void {
    const run = this.#run!;
    const error = this.#applicationError();
    this.#heldError = undefined;
    this.finished();
    run.fail(error);
  }

  #applicationError(): RrError {
    const metadata = { pool: this.#environment.options.name, pid: this.pid, ...this.#strayOutput() };
    return new RrError("WORKER_ERROR", this.#heldError || "the application answered with an empty error", { metadata });
  }

  stray(bytes: Buffer): void {
    // Before it is ready it may be the reason why it will not be: the explanation of the failed boot quotes it.
    if (this.#state === "booting") {
      this.#bootText += printable(bytes);
      return;
    }
    const text = printable(bytes);
    this.#observer.strayOutput(this, text);
    // Error pages of debug mode show it: it is where a forgotten var_dump() and PHP's own messages end up.
    if (this.#environment.options.debug) this.#strayText = (this.#strayText + text).slice(-STRAY_TEXT_MAX);
  }

  violation(problem: string, bytes: Buffer): void {
    if (this.#state === "booting") {
      // Not worth an error of its own: what it printed is the cause, and the explanation of the failed boot quotes it.
      this.#bootText += printable(bytes);
      this.#child.signal("SIGKILL");
      return;
    }
    const shown = printable(bytes);
    this.kill(this.#problem("PROTOCOL_VIOLATION", `broke the protocol: ${problem}: ${shown}`, { bytes: shown }));
  }

  async #becomeReady(signal: AbortSignal): Promise<void> {
    const { options, socketListener } = this.#environment;
    const abort = () => this.kill(this.#problem("CANCELLED", "was not needed any more before it was ready"));
    const timer = setTimeout(() => {
      this.#bootTimedOut = true;
      this.#child.signal("SIGKILL");
    }, options.bootTimeoutMs);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    try {
      const ready = new Promise<void>((resolve) => {
        this.#becameReady = () => {
          this.bootTimeMs = this.#environment.clock.monotonicMs() - this.startedAtMs;
          this.#state = transition(this.#state, "ready");
          if (this.#bootText !== "") this.#observer.strayOutput(this, this.#bootText);
          resolve();
        };
      });
      if (socketListener) {
        void socketListener.expect(this.pid).then((relay) => {
          if (this.#state !== "booting") return relay.destroy();
          this.channel.attach(relay);
          this.#becameReady();
        });
      } else {
        const pipes = new StreamRelay(this.#child.stdout, this.#child.stdin);
        this.channel.attach(pipes);
        pipes.write([this.protocol.encodePid(process.pid)]);
      }
      await Promise.race([ready, this.#child.exited]);
      if (this.#state === "ready") return;
      throw this.#bootError(await this.#child.exited);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      socketListener?.forget(this.pid);
    }
  }

  #bootError(exit: ExitStatus): RrError {
    if (this.#killError) return this.#killError;
    const { options } = this.#environment;
    return explainBootFailure({
      pool: options.name,
      command: options.command,
      workingDirectory: options.workingDirectory,
      exit: this.#bootTimedOut ? undefined : exit,
      bootTimeoutMs: options.bootTimeoutMs,
      lastOutput: [this.#bootText, this.#child.lastOutput].filter((text) => text !== "").join("\n"),
      relay: options.relay.kind,
    });
  }

  #afterRead(): void {
    // Only now: what follows a reply in the same chunk must not be taken for the answer to the next call.
    if (!this.#idleToReport) return;
    this.#idleToReport = false;
    if (this.#state === "ready" && !this.#gone) this.#observer.becameIdle(this);
  }

  #surplus(text: string, isError: boolean): void {
    // A stopping worker may say a last word (the PHP TCP worker does).
    if (this.#state !== "ready") return;
    this.#observer.surplusAnswer(this, text, isError);
    if (isError) return;
    const danger = "answered although nothing was asked: its next answers could reach the wrong caller";
    this.kill(this.#problem("PROTOCOL_VIOLATION", danger));
  }

  #execTimedOut(): void {
    if (this.#state !== "working") return;
    // A caller that does not take the reply is not the worker's fault; the time starts anew.
    if (this.channel.paused) return this.#execDeadline.start();
    const { execTtlMs } = this.#environment.options.supervisor;
    const limit = `execution limit of ${execTtlMs} ms (pool.supervisor.exec_ttl)`;
    this.kill(
      this.#problem("EXEC_TIMEOUT", `did not answer within the ${limit} and was killed`, { limit_ms: execTtlMs }),
    );
  }

  /** The other end closed: the process is ending, or will be made to. */
  #channelClosed(): void {
    if (this.#gone) return;
    setTimeout(() => {
      if (this.#state !== "exited")
        this.kill(this.#problem("PROTOCOL_VIOLATION", "closed its channel but did not end"));
    }, EXIT_AFTER_CLOSE_MS).unref();
  }

  /** The process is gone. Its last answer, or the text that explains a failed boot, may still be on its way. */
  async #ended(exit: ExitStatus): Promise<void> {
    this.#gone = true;
    if (this.channel.open && (this.#state === "working" || this.#state === "booting")) await this.channel.readToEnd();
    this.#exited(exit);
  }

  #exited(exit: ExitStatus): void {
    // Text that no answer followed is reported while it is known whose it was.
    this.channel.end();
    const run = this.#run;
    const error = this.#heldError === undefined ? this.exitError(exit) : this.#applicationError();
    const wasReady = this.bootTimeMs > 0;
    this.#run = undefined;
    this.#state = transition(this.#state, "exited");
    this.#execDeadline.close();
    this.channel.destroy();
    if (wasReady) this.#observer.exited(this, exit);
    run?.end();
    run?.fail(error);
  }

  /** Why it is gone: the error it was killed for, or what its exit means. */
  exitError(exit: ExitStatus): RrError {
    const error = this.#killError ?? this.#explainedExit(exit);
    Object.assign(error.metadata, this.#strayOutput());
    return error;
  }

  #explainedExit(exit: ExitStatus): RrError {
    return explainExit({
      pool: this.#environment.options.name,
      pid: this.pid,
      exit,
      lastOutput: this.#child.lastOutput,
    });
  }

  /** What PHP said besides its answer, for error pages: in debug mode all of a worker's output is that of its one call. */
  #strayOutput(): { stray_output?: string; last_output?: string } {
    if (!this.#environment.options.debug) return {};
    const lastOutput = this.#child.lastOutput.slice(-STRAY_TEXT_MAX);
    return {
      ...(this.#strayText !== "" && { stray_output: this.#strayText }),
      ...(lastOutput !== "" && { last_output: lastOutput }),
    };
  }

  /** "worker 12 of pool "http" ..." */
  #problem(reason: ErrorReason, text: string, values: Record<string, string | number> = {}): RrError {
    const { name } = this.#environment.options;
    const metadata = { pool: name, pid: this.pid, ...values };
    return new RrError(reason, `worker ${this.pid} of pool "${name}" ${text}`, { metadata });
  }

  #goneWithin(limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), limitMs);
      void this.exited.then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}
