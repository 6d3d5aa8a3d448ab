import type { PoolOptions } from "../../src/config/options.ts";
import { RrError } from "../../src/errors.ts";
import { encodeFrame, FLAG, STREAM } from "../../src/goridge/frame.ts";
import { FrameReader } from "../../src/goridge/frame-reader.ts";
import type { ExitStatus } from "../../src/process/child-process.ts";
import type { Relay, RelayListener } from "../../src/relay/relay.ts";
import type { OpenWorkerProcesses, WorkerProcess } from "../../src/worker/worker-process.ts";

/** Beyond what the kernel gives, so that nobody finds them in /proc. */
const FIRST_PID = 5_000_000;

export interface FakeRequest {
  readonly context: string;
  readonly body: string;
}

/**
 * A PHP worker without PHP: speaks frames over a relay in this process. It answers nothing by itself but who it is; the
 * test says what it does.
 */
export class FakeWorkerProcess implements WorkerProcess {
  readonly pid: number;
  readonly exited: Promise<ExitStatus>;
  readonly pipes: FakeRelay;
  lastOutput = "";
  /** Requests that have come and were not answered yet. */
  readonly requests: FakeRequest[] = [];
  /** Signals that it got. */
  readonly signals: string[] = [];
  /** What it heard besides requests: "stop", "pong", "stream stop", "pid". */
  readonly heard: string[] = [];
  alive = true;
  /** It answers when it is asked who it is. */
  introducesItself: boolean;
  /** It ends when it is asked to, or gets a SIGTERM. */
  obeys = true;
  readonly #onRequest: (worker: FakeWorkerProcess) => void;
  #exit: (status: ExitStatus) => void = () => {};

  constructor(pid: number, introducesItself: boolean, onRequest: (worker: FakeWorkerProcess) => void) {
    this.pid = pid;
    this.introducesItself = introducesItself;
    this.#onRequest = onRequest;
    this.exited = new Promise((resolve) => {
      this.#exit = resolve;
    });
    const reader = new FrameReader(
      {
        frame: ({ flags, streamBits }, options, payload) => this.#hear(flags, streamBits, options, payload),
        frameContinues: () => {
          throw new Error("the fake worker takes small requests only");
        },
        stray: () => {},
        violation: () => {},
      },
      1 << 24,
    );
    this.pipes = new FakeRelay((bytes) => reader.push(bytes));
  }

  #hear(flags: number, streamBits: number, options: readonly number[], payload: Buffer): void {
    if (!this.alive) return;
    if (flags & FLAG.CONTROL) {
      const text = payload.toString();
      if (text.includes("stop")) {
        this.heard.push("stop");
        if (this.obeys) this.exit(0);
      } else {
        this.heard.push("pid");
        if (this.introducesItself) this.introduce();
      }
    } else if (streamBits & STREAM.PONG) this.heard.push("pong");
    else if (streamBits & STREAM.STOP) this.heard.push("stream stop");
    else {
      const contextBytes = options[0]!;
      this.requests.push({
        context: payload.toString("latin1", 0, contextBytes),
        body: payload.toString("latin1", contextBytes),
      });
      this.#onRequest(this);
    }
  }

  introduce(): void {
    this.write(encodeFrame(FLAG.CONTROL | FLAG.JSON, 0, [], Buffer.from(`{"pid":${this.pid}}`)));
  }

  /** The whole answer to the oldest request. */
  answer(body: string, context = ""): void {
    this.requests.shift();
    this.write(encodeFrame(FLAG.JSON, 0, [context.length], Buffer.from(context), Buffer.from(body)));
  }

  /** A piece of a streamed answer; `bits`: STREAM.PING besides. */
  piece(body: string, bits = 0): void {
    this.write(encodeFrame(FLAG.JSON, STREAM.STREAM | bits, [0], Buffer.from(body)));
  }

  error(text: string): void {
    this.write(encodeFrame(FLAG.ERROR, 0, [], Buffer.from(text)));
  }

  write(bytes: Buffer): void {
    if (this.alive) this.pipes.arrive(bytes);
  }

  exit(code: number | null, signal: NodeJS.Signals | null = null): void {
    if (!this.alive) return;
    this.alive = false;
    this.pipes.end();
    this.#exit({ code, signal });
  }

  signal(signal: "SIGTERM" | "SIGKILL"): void {
    if (!this.alive) return;
    this.signals.push(signal);
    if (signal === "SIGKILL" || this.obeys) this.exit(null, signal);
  }

  connected(): Promise<Relay> {
    throw new Error("the fake worker is on pipes");
  }

  forget(): void {}
}

/** Both ends of a channel. What arrives while nobody reads waits. */
export class FakeRelay implements Relay {
  congested = false;
  /** The worker closed the end that it reads from. */
  writable = true;
  paused = true;
  readonly #write: (bytes: Buffer) => void;
  readonly #waiting: Buffer[] = [];
  #listener: RelayListener | undefined;
  #ended = false;
  #closed = false;

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  write(buffers: readonly Buffer[]): void {
    if (!this.writable) queueMicrotask(() => this.#listener?.unwritable?.());
    else if (!this.#ended) {
      const bytes = Buffer.concat(buffers);
      // Never while the other side is still at it.
      queueMicrotask(() => this.#write(bytes));
    }
  }

  async feed(buffer: Buffer): Promise<void> {
    this.write([buffer]);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.#flow();
  }

  start(listener: RelayListener): void {
    this.#listener = listener;
    this.resume();
  }

  destroy(): void {
    this.#ended = true;
    this.#closed = true;
  }

  /** The worker wrote something. */
  arrive(bytes: Buffer): void {
    this.#waiting.push(bytes);
    this.#flow();
  }

  /** The worker's end is closed. */
  end(): void {
    this.#ended = true;
    this.#flow();
  }

  /** It takes again what is written. */
  drain(): void {
    this.congested = false;
    this.#listener?.drained?.();
  }

  #flow(): void {
    while (!this.paused && !this.#closed && this.#listener && this.#waiting.length > 0)
      this.#listener.data(this.#waiting.shift()!);
    if (this.#ended && !this.#closed && !this.paused && this.#waiting.length === 0 && this.#listener) {
      this.#closed = true;
      queueMicrotask(() => this.#listener!.closed());
    }
  }
}

/** What happens to the processes that a pool starts. */
export class FakeWorkerProcesses {
  /** All that were started, the newest last. */
  readonly started: FakeWorkerProcess[] = [];
  /** Workers are ready as soon as they are asked; otherwise the test introduces them. */
  ready = true;
  /** Starts fail. */
  broken = false;
  /** Told of every request; answers it or not. */
  onRequest: (worker: FakeWorkerProcess) => void = () => {};
  readonly open: OpenWorkerProcesses = async ({ options }) => ({
    start: () => this.#start(options),
    close: () => {},
  });

  async #start({ name }: PoolOptions): Promise<WorkerProcess> {
    if (this.broken) throw new RrError("BOOT_FAILED", `cannot run a worker of pool "${name}"`);
    const worker = new FakeWorkerProcess(FIRST_PID + this.started.length, this.ready, (one) => this.onRequest(one));
    this.started.push(worker);
    return worker;
  }

  get alive(): FakeWorkerProcess[] {
    return this.started.filter(({ alive }) => alive);
  }

  /** Those that run a call. */
  get busy(): FakeWorkerProcess[] {
    return this.alive.filter(({ requests }) => requests.length > 0);
  }

  /** Those that were started and have not said that they are ready. */
  get booting(): FakeWorkerProcess[] {
    return this.alive.filter(({ introducesItself }) => !introducesItself);
  }

  /** Lets all that boot become ready. */
  letBoot(): void {
    for (const worker of this.booting) {
      worker.introducesItself = true;
      worker.introduce();
    }
  }
}
