import type { StopTimer } from "../clock.ts";
import type { RrError } from "../errors.ts";
import type { ExitStatus } from "../process/child-process.ts";
import type { Relay } from "../relay/relay.ts";
import { explainBootFailure } from "./boot-failure.ts";
import { printable } from "./printable.ts";
import type { WorkerEnvironment } from "./worker-environment.ts";
import type { WorkerProcess } from "./worker-process.ts";

/** Of what is printed to the channel the beginning is kept: there the first mistake is told. */
const TEXT_MAX = 8 * 1024;

/** What a boot needs of its worker. */
export interface BootingWorker {
  attach(relay: Relay): void;
  /** The signal aborted. */
  notNeeded(): void;
}

/** The time between the start of a process and the moment when it is ready, or is not going to be. */
export class WorkerBoot {
  readonly #environment: WorkerEnvironment;
  readonly #process: WorkerProcess;
  /** Text on the channel: PHP reports a missing script there. */
  #text = "";
  #timedOut = false;
  #over = false;
  #settle: () => void = () => {};

  constructor(environment: WorkerEnvironment, process: WorkerProcess) {
    this.#environment = environment;
    this.#process = process;
  }

  /** What it printed to the channel. */
  get text(): string {
    return this.#text;
  }

  printed(bytes: Buffer): void {
    if (this.#text.length < TEXT_MAX) this.#text += printable(bytes);
  }

  /** Not worth an error of its own: what it printed is the cause, and the explanation of the failed boot quotes it. */
  violation(bytes: Buffer): void {
    this.printed(bytes);
    this.#process.signal("SIGKILL");
  }

  ready(): void {
    this.#settle();
  }

  /** Settles when the worker is ready, its process is gone, or both. Asks `worker` for its channel meanwhile. */
  async wait(worker: BootingWorker, signal: AbortSignal): Promise<void> {
    const { clock, options, protocol } = this.#environment;
    const { pipes, exited } = this.#process;
    const abort = () => worker.notNeeded();
    const stopTimer: StopTimer = clock.after(options.bootTimeoutMs, () => {
      this.#timedOut = true;
      this.#process.signal("SIGKILL");
    });
    signal.addEventListener("abort", abort, { once: true });
    try {
      const ready = new Promise<void>((resolve) => {
        this.#settle = resolve;
      });
      if (signal.aborted) abort();
      if (pipes) {
        worker.attach(pipes);
        pipes.write([protocol.encodePid(process.pid)]);
      } else {
        void this.#process.connected().then((relay) => (this.#over ? relay.destroy() : worker.attach(relay)));
      }
      await Promise.race([ready, exited]);
    } finally {
      this.#over = true;
      stopTimer();
      signal.removeEventListener("abort", abort);
      this.#process.forget();
    }
  }

  /** Why it did not become ready. */
  failure(exit: ExitStatus): RrError {
    const { options } = this.#environment;
    return explainBootFailure({
      pool: options.name,
      command: options.command,
      workingDirectory: options.workingDirectory,
      exit: this.#timedOut ? undefined : exit,
      bootTimeoutMs: options.bootTimeoutMs,
      lastOutput: [this.#text, this.#process.lastOutput].filter((text) => text !== "").join("\n"),
      relay: options.relay.kind,
    });
  }
}
