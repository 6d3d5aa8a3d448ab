import type { Clock } from "../clock.ts";
import type { PoolOptions } from "../config/options.ts";
import { type ErrorReason, RrError } from "../errors.ts";
import {
  type BodySource,
  isStopRequest,
  type WorkerMessageListener,
  type WorkerMessageReader,
  type WorkerProtocol,
  type WorkerReply,
} from "../goridge/worker-protocol.ts";
import type { Log } from "../log.ts";
import { ChildProcess, type ExitStatus } from "../process/child-process.ts";
import type { Relay } from "../relay/relay.ts";
import type { SocketListener } from "../relay/socket-listener.ts";
import { StreamRelay } from "../relay/stream-relay.ts";
import { explainBootFailure } from "./boot-failure.ts";
import type { Execution } from "./execution.ts";
import { explainExit } from "./exit-explanation.ts";
import { RollingDeadline } from "./rolling-deadline.ts";
import { transition, type WorkerState } from "./worker-state.ts";

/** What a pool gives all its workers. */
export interface WorkerEnvironment {
  readonly options: PoolOptions;
  /** The environment that `options.env` is added to. */
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
  readonly protocol: WorkerProtocol;
  /** For unix and tcp relays. */
  readonly socketListener: SocketListener | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a pool wants to hear of a worker. */
export interface WorkerObserver {
  /** The call is over and the worker could take another one. */
  becameIdle(worker: Worker): void;
  /** The process is gone. */
  exited(worker: Worker, exit: ExitStatus): void;
  /** It printed text between its answers. */
  strayOutput(worker: Worker, text: string): void;
  /** It answered although nobody asked. `keep`: it only reported an error on top and goes on; otherwise it is killed. */
  surplusAnswer(worker: Worker, text: string, keep: boolean): void;
}

/** After the channel of a worker closed, its process has this long to end by itself. */
/** Errors travel in one message with their metadata. */
const STRAY_TEXT_MAX = 4096;
const EXIT_AFTER_CLOSE_MS = 1_000;
/**
 * What a worker wrote before it ended may still be in the channel and is read for so long after the exit; not for ever,
 * since a child of the worker may hold the channel open.
 */
const READ_AFTER_EXIT_MS = 200;
/** What an idle worker prints so soon after an answer was printed for that call. */
const OUTPUT_AFTER_ANSWER_MS = 50;
const TEXT_KEPT_BYTES = 2048;
const NO_BYTES: Buffer = Buffer.alloc(0);

/** Bytes for people: text, with what cannot be shown replaced. */
function printable(bytes: Buffer): string {
  return bytes
    .toString("utf8", 0, TEXT_KEPT_BYTES)
    .replace(/[^\x20-\x7e\n\t\u00a0-\uffff]/g, "·")
    .trim();
}

/** One PHP process: boot, calls one at a time, stop. */
export class Worker implements WorkerMessageListener {
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

  readonly #environment: WorkerEnvironment;
  readonly #observer: WorkerObserver;
  readonly #child: ChildProcess;
  readonly #reader: WorkerMessageReader;
  #relay: Relay | undefined;
  #state: WorkerState = "booting";
  #execution: Execution | undefined;
  /** In debug mode: what PHP printed during the call. */
  #strayText = "";
  #lastRequestId = "";
  /** The present request is still being written. */
  #feeding = false;
  /** Parts of the present reply were handed on. */
  #answered = false;
  /** The present reply is a stream: frames with "more" were seen. */
  #streaming = false;
  /** Nobody wants the rest of the present reply. */
  #abandoned = false;
  /** Whether more frames follow the one that is being read in pieces. */
  #moreAfterFrame = false;
  #pongOwed = false;
  /** An error of which it is not certain yet that it answers the present call. */
  #heldError: string | undefined;
  /** How often it was asked who it is and has not said so yet. */
  #introductionsDue = 0;
  #idleToReport = false;
  readonly #execDeadline: RollingDeadline;
  #streamStopSent = false;
  #abandonTimer: NodeJS.Timeout | undefined;
  /** Text on the channel before the worker was ready: PHP reports a missing script there. */
  #bootText = "";
  #bootTimedOut = false;
  #becameReady: () => void = () => {};
  #channelOpen = false;
  #readingPaused = false;
  /** The process is gone, what it wrote last is being read. */
  #gone = false;
  #channelReadWaiter: (() => void) | undefined;
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
    this.#reader = environment.protocol.createReader(this, environment.options.frameBytesMax);
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
    return this.#execution?.requestId ?? "";
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
    this.#execution = execution;
    this.#answered = false;
    this.#streaming = false;
    this.#abandoned = false;
    this.#streamStopSent = false;
    this.executionStartedAtMs = this.#environment.clock.monotonicMs();
    this.#strayText = "";
    this.#execDeadline.start();
    this.#relay!.write(this.#environment.protocol.encodeRequest(execution.request));
    const { source } = execution.request;
    if (source) void this.#feed(source);
  }

  /** The rest of a request, as fast as the worker reads. */
  async #feed(source: BodySource): Promise<void> {
    let missingBytes = source.sizeBytes;
    this.#feeding = missingBytes > 0;
    try {
      for await (const chunk of source.chunks()) {
        if (this.#state !== "working") return;
        missingBytes -= chunk.length;
        // Not after the wait: the answer may be read before this side hears that its last bytes have left.
        if (missingBytes <= 0) this.#feeding = false;
        await this.#relay!.feed(chunk);
      }
    } catch (thrown) {
      this.kill(this.#problem("INTERNAL", `could not be given the whole request: ${(thrown as Error).message}`));
    }
  }

  /** After `Execution.reply` returned false. */
  resumeReply(): void {
    if (this.#pongOwed) this.#sendPong();
    this.#resumeReading();
  }

  /**
   * Nobody wants the reply any more; the execution hears nothing further. A stream is asked to end. A call that has not
   * answered yet runs on, since nothing can stop PHP in the middle without harm; but neither may take for ever.
   */
  abandon(): void {
    if (this.#state !== "working" || this.#abandoned) return;
    this.#abandoned = true;
    if (this.#streaming) this.#sendStreamStop();
    const { streamTimeoutMs } = this.#environment.options;
    this.#abandonTimer = setTimeout(() => {
      this.kill(
        this.#problem(
          "WORKER_EXITED",
          `was still busy ${streamTimeoutMs} ms after its caller had left (pool.stream_timeout)`,
        ),
      );
    }, streamTimeoutMs);
    this.#resumeReading();
  }

  /** Asks an idle worker to end, then signals it, then kills it. Settles when it is gone. */
  async stop(reason: string): Promise<void> {
    if (this.#state === "stopping") {
      await this.exited;
      return;
    }
    if (this.#state === "ready") {
      this.leaving ||= reason;
      this.#state = transition(this.#state, "stopping");
      this.#relay!.write([this.#environment.protocol.encodeStop()]);
      const graceMs = this.#environment.options.stopGraceMs;
      if (await this.#goneWithin(graceMs)) return;
      this.#environment.log.warn(
        { pid: this.pid },
        `worker ${this.pid} did not end within ${graceMs} ms of the stop message: sending SIGTERM`,
      );
      this.#child.signal("SIGTERM");
      if (await this.#goneWithin(graceMs)) return;
      this.#environment.log.warn({ pid: this.pid }, `worker ${this.pid} ignored SIGTERM: killing it`);
    }
    this.kill(this.#problem("WORKER_EXITED", `was killed: ${reason}`));
    await this.exited;
  }

  /** Ends the process group at once; a running call fails with this error. */
  kill(error: RrError): void {
    if (this.#state === "killed" || this.#state === "exited") return;
    this.#killError = error;
    this.leaving ||= error.reason;
    this.#state = transition(this.#state, "killed");
    this.#child.signal("SIGKILL");
    // It may have ended by itself already, and what it wrote last waits for a caller who does not take it.
    this.#channelReadWaiter?.();
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
    if (this.#state !== "working") return this.#surplus(reply.body.toString("utf8", 0, TEXT_KEPT_BYTES), false);
    if (this.#feeding) return this.violation("it answered before it had read its request", reply.body);
    this.#dropHeldError();
    const more = reply.more || reply.missingBytes > 0;
    if (!more && !this.#answered && isStopRequest(reply.context, reply.body.length)) return this.#stopRequested();
    this.#moreAfterFrame = reply.more;
    this.#streaming ||= reply.more;
    if (more) this.#execDeadline.start();
    const goOn = this.#part({ context: reply.context, body: reply.body, codec: reply.codec, more });
    if (!more) return;
    if (this.#abandoned) this.#sendStreamStop();
    else if (reply.ping && goOn) this.#sendPong();
    else if (reply.ping) this.#pongOwed = true;
    if (!goOn) this.#pauseReading();
  }

  replyContinues(data: Buffer, missingBytes: number): void {
    if (this.#state !== "working") return;
    const more = missingBytes > 0 || this.#moreAfterFrame;
    const goOn = this.#part({ context: NO_BYTES, body: data, codec: 0, more });
    if (more && !goOn) this.#pauseReading();
  }

  /**
   * The sample worker of the original's manual answers a request that failed and then reports an error on top. If that
   * error arrives after the next request was sent, it looks like its answer, and from then on every caller would get
   * the answer of the one before. So an error is held until the worker, asked who it is, says so: a worker that is
   * still busy with the request answers that first.
   */
  error(text: string): void {
    if (this.#state !== "working") return this.#surplus(text, true);
    if (this.#feeding) return this.violation("it failed before it had read its request", Buffer.from(text));
    this.#dropHeldError();
    this.#heldError = text;
    this.#introductionsDue++;
    this.#relay!.write([this.#environment.protocol.encodePid(process.pid)]);
  }

  /** Another answer followed it, so it belonged to the call before. */
  #dropHeldError(): void {
    if (this.#heldError === undefined) return;
    this.#observer.surplusAnswer(this, this.#heldError, true);
    this.#heldError = undefined;
  }

  #failExecution(): void {
    const execution = this.#execution!;
    const error = this.#applicationError();
    this.#heldError = undefined;
    this.#finish();
    if (!this.#abandoned) execution.failed(error, this.#answered);
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
    const { options, protocol, socketListener } = this.#environment;
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
          this.#attach(relay);
          this.#becameReady();
        });
      } else {
        const pipes = new StreamRelay(this.#child.stdout, this.#child.stdin);
        this.#attach(pipes);
        pipes.write([protocol.encodePid(process.pid)]);
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

  #attach(relay: Relay): void {
    this.#relay = relay;
    this.#channelOpen = true;
    relay.start({ data: (chunk) => this.#data(chunk), closed: () => this.#channelClosed() });
  }

  #data(chunk: Buffer): void {
    this.#reader.push(chunk);
    // Only now: what follows a reply in the same chunk must not be taken for the answer to the next call.
    if (this.#idleToReport) {
      this.#idleToReport = false;
      if (this.#state === "ready" && !this.#gone) this.#observer.becameIdle(this);
    }
  }

  #pauseReading(): void {
    this.#readingPaused = true;
    this.#relay!.pause();
  }

  #resumeReading(): void {
    this.#readingPaused = false;
    this.#relay!.resume();
  }

  /** Hands a part on, unless nobody wants it. False: read no further. */
  #part(part: { context: Buffer; body: Buffer; codec: number; more: boolean }): boolean {
    const execution = this.#execution!;
    if (!part.more) this.#finish();
    if (this.#abandoned) return true;
    this.#answered = true;
    return execution.reply(part, this.pid);
  }

  #finish(): void {
    this.#lastRequestId = this.requestId;
    this.#execution!.released();
    this.#execution = undefined;
    this.executions++;
    this.lastUsedAtMs = this.#environment.clock.monotonicMs();
    this.#execDeadline.stop();
    clearTimeout(this.#abandonTimer);
    this.#pongOwed = false;
    // The end may come in the same chunk as the part that made the caller ask for a pause.
    if (this.#readingPaused) this.#resumeReading();
    this.#state = transition(this.#state, "ready");
    this.#idleToReport = true;
  }

  #stopRequested(): void {
    const execution = this.#execution!;
    this.leaving ||= "asked_to_stop";
    this.#finish();
    if (!this.#abandoned) execution.rerun();
  }

  #surplus(text: string, isError: boolean): void {
    // A stopping worker may say a last word (the PHP TCP worker does).
    if (this.#state !== "ready") return;
    this.#observer.surplusAnswer(this, text, isError);
    if (isError) return;
    const danger = "answered although nothing was asked: its next answers could reach the wrong caller";
    this.kill(this.#problem("PROTOCOL_VIOLATION", danger));
  }

  #sendPong(): void {
    this.#pongOwed = false;
    const { pong } = this.#environment.protocol;
    if (pong) this.#relay!.write([pong]);
  }

  #sendStreamStop(): void {
    if (this.#streamStopSent) return;
    this.#streamStopSent = true;
    this.#pongOwed = false;
    const { streamStop } = this.#environment.protocol;
    if (streamStop) this.#relay!.write([streamStop]);
  }

  #execTimedOut(): void {
    if (this.#state !== "working") return;
    // A caller that does not take the reply is not the worker's fault; the time starts anew.
    if (this.#readingPaused) return this.#execDeadline.start();
    const { execTtlMs } = this.#environment.options.supervisor;
    const limit = `execution limit of ${execTtlMs} ms (pool.supervisor.exec_ttl)`;
    this.kill(
      this.#problem("EXEC_TIMEOUT", `did not answer within the ${limit} and was killed`, { limit_ms: execTtlMs }),
    );
  }

  /** The other end closed: the process is ending, or will be made to. */
  #channelClosed(): void {
    this.#channelOpen = false;
    this.#reader.end();
    this.#channelReadWaiter?.();
    if (this.#gone) return;
    setTimeout(() => {
      if (this.#state !== "exited")
        this.kill(this.#problem("PROTOCOL_VIOLATION", "closed its channel but did not end"));
    }, EXIT_AFTER_CLOSE_MS).unref();
  }

  /** The process is gone. Its last answer, or the text that explains a failed boot, may still be on its way. */
  async #ended(exit: ExitStatus): Promise<void> {
    this.#gone = true;
    if (this.#channelOpen && (this.#state === "working" || this.#state === "booting")) await this.#channelRead();
    this.#exited(exit);
  }

  /** Settles when the channel is read to its end. Time in which the caller does not take the reply does not count. */
  #channelRead(): Promise<void> {
    return new Promise((resolve) => {
      const giveUp = () => {
        if (this.#readingPaused) timer.refresh();
        else resolve();
      };
      const timer = setTimeout(giveUp, READ_AFTER_EXIT_MS);
      this.#channelReadWaiter = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #exited(exit: ExitStatus): void {
    // Text that no answer followed is reported while it is known whose it was.
    this.#reader.end();
    const execution = this.#execution;
    const error = this.#heldError === undefined ? this.exitError(exit) : this.#applicationError();
    const wasReady = this.bootTimeMs > 0;
    this.#execution = undefined;
    this.#state = transition(this.#state, "exited");
    this.#execDeadline.close();
    clearTimeout(this.#abandonTimer);
    this.#relay?.destroy();
    if (wasReady) this.#observer.exited(this, exit);
    execution?.released();
    if (execution && !this.#abandoned) execution.failed(error, this.#answered);
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
