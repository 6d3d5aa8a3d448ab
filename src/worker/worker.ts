import { Deadline } from "../async/deadline.ts";
import type { StopTimer } from "../clock.ts";
import { type ErrorReason, RrError } from "../errors.ts";
import type { WorkerMessageListener, WorkerProtocol, WorkerReply } from "../goridge/worker-protocol.ts";
import type { ExitStatus } from "../process/child-process.ts";
import type { Relay } from "../relay/relay.ts";
import { CallRun, type RunOwner } from "./call-run.ts";
import type { Execution } from "./execution.ts";
import { explainExit } from "./exit-explanation.ts";
import { printable } from "./printable.ts";
import { type GuardedWorker, ReplyGuard } from "./reply-guard.ts";
import { RollingDeadline } from "./rolling-deadline.ts";
import { type BootingWorker, WorkerBoot } from "./worker-boot.ts";
import { WorkerChannel } from "./worker-channel.ts";
import type { WorkerEnvironment, WorkerObserver } from "./worker-environment.ts";
import { WorkerOutput } from "./worker-output.ts";
import type { WorkerProcess } from "./worker-process.ts";
import { transition, type WorkerState } from "./worker-state.ts";

/** After the channel of a worker closed, its process has this long to end by itself. */
const EXIT_AFTER_CLOSE_MS = 1_000;
/** Errors travel in one message with their metadata. */
const STRAY_TEXT_MAX = 4096;
const NO_BYTES: Buffer = Buffer.alloc(0);

/** One PHP process: boot, calls one at a time, stop. */
export class Worker implements WorkerMessageListener, RunOwner, GuardedWorker, BootingWorker {
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
  readonly #process: WorkerProcess;
  readonly #output: WorkerOutput;
  readonly #boot: WorkerBoot;
  readonly #guard = new ReplyGuard(this);
  #state: WorkerState = "booting";
  /** While it is working. */
  #run: CallRun | undefined;
  /** In debug mode: what PHP printed during the call. */
  #strayText = "";
  #idleToReport = false;
  readonly #execDeadline: RollingDeadline;
  #stopEndTimer: StopTimer | undefined;
  #wasReady = false;
  /** The process is gone, what it wrote last is being read. */
  #gone = false;
  /** Why the server killed it. */
  #killError: RrError | undefined;

  private constructor(
    environment: WorkerEnvironment,
    observer: WorkerObserver,
    process: WorkerProcess,
    output: WorkerOutput,
    identity: { generation: number; startedAtMs: number; executionsMax: number },
  ) {
    this.#environment = environment;
    this.#observer = observer;
    this.#process = process;
    this.#output = output;
    this.#boot = new WorkerBoot(environment, process);
    this.pid = process.pid;
    this.generation = identity.generation;
    this.startedAtMs = identity.startedAtMs;
    this.executionsMax = identity.executionsMax;
    this.#execDeadline = new RollingDeadline(environment.options.supervisor.execTtlMs, environment.clock, () =>
      this.#execTimedOut(),
    );
    const reader = environment.protocol.createReader(this, environment.options.frameBytesMax);
    this.channel = new WorkerChannel(reader, environment.clock, {
      afterRead: () => this.#afterRead(),
      closed: () => this.#endSoon(),
      unwritable: () => this.#unwritable(),
    });
    void process.exited.then((exit) => this.#ended(exit));
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
    const { clock, log, processes } = environment;
    const startedAtMs = clock.monotonicMs();
    const output = new WorkerOutput(log, clock);
    const process = await processes.start((line, stream) => output.line(line, stream));
    output.startedAs(process.pid);
    const worker = new Worker(environment, observer, process, output, { ...identity, startedAtMs });
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

  get exited(): Promise<ExitStatus> {
    return this.#process.exited;
  }

  /** Runs a call. The worker must be ready. */
  execute(execution: Execution): void {
    this.#state = transition(this.#state, "working");
    this.#run = new CallRun(execution, this);
    this.executionStartedAtMs = this.#environment.clock.monotonicMs();
    this.#strayText = "";
    this.#output.callBegan(execution.requestId);
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
      this.#process.signal("SIGTERM");
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
    const wasReady = this.#state === "ready";
    this.#killError = error;
    this.leaving ||= error.reason;
    this.#state = transition(this.#state, "killed");
    this.#process.signal("SIGKILL");
    if (wasReady) this.#observer.becameUnusable(this);
    // It may have ended by itself already, and what it wrote last waits for a caller who does not take it.
    this.channel.giveUpReading();
  }

  // What its call tells.

  get protocol(): WorkerProtocol {
    return this.#environment.protocol;
  }

  get clock(): WorkerEnvironment["clock"] {
    return this.#environment.clock;
  }

  get streamTimeoutMs(): number {
    return this.#environment.options.streamTimeoutMs;
  }

  progressed(): void {
    this.#execDeadline.start();
  }

  finished(): void {
    this.#output.callAnswered();
    this.#run!.end();
    this.#run = undefined;
    this.#guard.answered();
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
    const meaning = this.#guard.introduced();
    if (meaning === "unasked") this.violation("it introduced itself a second time", NO_BYTES);
    else if (meaning === "certain" && this.#state === "working") this.#failExecution();
  }

  reply(reply: WorkerReply): void {
    if (this.#state === "booting") return this.violation("it answered before it was asked", reply.body);
    if (this.#state !== "working") return this.#surplusReply(printable(reply.body));
    if (this.#run!.feeding) return this.violation("it answered before it had read its request", reply.body);
    this.#guard.replied();
    // The guard may have had enough.
    if (this.#state === "working") this.#run!.reply(reply);
  }

  replyContinues(data: Buffer, missingBytes: number): void {
    if (this.#state === "working") this.#run!.replyContinues(data, missingBytes);
  }

  error(text: string): void {
    if (this.#state === "ready") this.#guard.surplusError(text);
    // A stopping worker may say a last word (the PHP TCP worker does).
    if (this.#state !== "working") return;
    this.#run!.reached();
    if (this.#run!.feeding) return this.violation("it failed before it had read its request", Buffer.from(text));
    this.#guard.error(text);
  }

  stray(bytes: Buffer): void {
    // Before it is ready it may be the reason why it will not be: the explanation of the failed boot quotes it.
    if (this.#state === "booting") return this.#boot.printed(bytes);
    const text = printable(bytes);
    this.#observer.strayOutput(this, text);
    // Error pages of debug mode show it: it is where a forgotten var_dump() and PHP's own messages end up.
    if (this.#environment.options.debug) this.#strayText = (this.#strayText + text).slice(-STRAY_TEXT_MAX);
  }

  violation(problem: string, bytes: Buffer): void {
    if (this.#state === "booting") return this.#boot.violation(bytes);
    const shown = printable(bytes);
    this.kill(this.#problem("PROTOCOL_VIOLATION", `broke the protocol: ${problem}: ${shown}`, { bytes: shown }));
  }

  // What its guard tells.

  askWhoItIs(): void {
    this.channel.answer(this.protocol.encodePid(process.pid));
  }

  errorDropped(text: string): void {
    this.#observer.surplusAnswer(this, text, true);
  }

  errorFlood(text: string): void {
    this.#observer.surplusAnswer(this, text, false);
    this.kill(this.#problem("PROTOCOL_VIOLATION", "reported one error after the other although nothing was asked"));
  }

  // Its boot.

  attach(relay: Relay): void {
    this.channel.attach(relay);
    // On a socket it has introduced itself already.
    if (relay !== this.#process.pipes) this.#becameReady();
  }

  notNeeded(): void {
    this.kill(this.#problem("CANCELLED", "was not needed any more before it was ready"));
  }

  #becameReady(): void {
    if (this.#state !== "booting") return;
    this.bootTimeMs = this.#environment.clock.monotonicMs() - this.startedAtMs;
    this.#state = transition(this.#state, "ready");
    this.#wasReady = true;
    if (this.#boot.text !== "") this.#observer.strayOutput(this, this.#boot.text);
    this.#boot.ready();
  }

  async #becomeReady(signal: AbortSignal): Promise<void> {
    await this.#boot.wait(this, signal);
    if (this.#state === "ready") return;
    const exit = await this.exited;
    throw this.#killError ?? this.#boot.failure(exit);
  }

  #failExecution(): void {
    const run = this.#run!;
    const error = this.#applicationError(this.#guard.heldError!);
    this.finished();
    run.fail(error);
  }

  #applicationError(text: string): RrError {
    const metadata = { pool: this.#environment.options.name, pid: this.pid, ...this.#strayOutput() };
    return new RrError("WORKER_ERROR", text || "the application answered with an empty error", { metadata });
  }

  #afterRead(): void {
    // Only now: what follows a reply in the same chunk must not be taken for the answer to the next call.
    if (!this.#idleToReport) return;
    this.#idleToReport = false;
    if (this.#state === "ready" && !this.#gone) this.#observer.becameIdle(this);
  }

  #surplusReply(text: string): void {
    if (this.#state !== "ready") return;
    this.#observer.surplusAnswer(this, text, false);
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

  /** It closed the end that it reads from: nobody hears what it is told. */
  #unwritable(): void {
    if (this.#state === "working" && this.#run!.undelivered) {
      const run = this.#run!;
      this.#run = undefined;
      this.#execDeadline.stop();
      this.#state = transition(this.#state, "stopping");
      run.end();
      this.#observer.becameUnusable(this);
      run.rerun();
    }
    this.#endSoon();
  }

  /** A part of its channel is closed: the process is ending, or will be made to. */
  #endSoon(): void {
    if (this.#gone || this.#stopEndTimer) return;
    this.#stopEndTimer = this.#environment.clock.after(EXIT_AFTER_CLOSE_MS, () =>
      this.kill(this.#problem("PROTOCOL_VIOLATION", "closed its channel but did not end")),
    );
    if (this.#state !== "ready") return;
    // How it ends says why, so it is not killed at once; but it must not be given a call.
    this.#state = transition(this.#state, "stopping");
    this.#observer.becameUnusable(this);
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
    this.#output.flush();
    const run = this.#run;
    const held = this.#guard.heldError;
    const error = held === undefined ? this.exitError(exit) : this.#applicationError(held);
    this.#run = undefined;
    this.#state = transition(this.#state, "exited");
    this.#execDeadline.close();
    this.#stopEndTimer?.();
    this.channel.destroy();
    if (this.#wasReady) this.#observer.exited(this, exit);
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
      // Of this call alone: what another request said is neither the reason nor this caller's to see.
      lastOutput: this.#output.ofPresentCall,
    });
  }

  /** What PHP said besides its answer, for error pages: in debug mode all of a worker's output is that of its one call. */
  #strayOutput(): { stray_output?: string; last_output?: string } {
    if (!this.#environment.options.debug) return {};
    const lastOutput = this.#process.lastOutput.slice(-STRAY_TEXT_MAX);
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

  async #goneWithin(limitMs: number): Promise<boolean> {
    return (await Deadline.after(limitMs, this.#environment.clock).race(this.exited)) !== undefined;
  }
}
