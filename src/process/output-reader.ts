import type { Readable } from "node:stream";
import { LineSplitter } from "./line-splitter.ts";

/** After so long a pause text is shown although its line has not ended: a prompt, a progress bar. */
const UNENDED_LINE_PAUSE_MS = 200;
/** How long nothing may come after the exit: grandchildren may hold the pipe open for ever. */
const QUIET_AFTER_EXIT_MS = 100;
/** And how long something may: what a process wrote before it ended is read to its end under any load. */
const READ_AFTER_EXIT_MS = 2_000;

/** Lines of the output of a process. */
export class OutputReader {
  readonly #output: Readable;
  readonly #splitter: LineSplitter;
  #pause: NodeJS.Timeout | undefined;
  #chunks = 0;

  constructor(output: Readable, onLine: (line: string) => void) {
    this.#output = output;
    this.#splitter = new LineSplitter(onLine);
    output.on("data", (chunk: Buffer) => this.#read(chunk));
    output.on("close", () => this.#end());
    output.on("error", () => {});
  }

  /** Settles when all of the output of a process that has ended was read and handed on. */
  async readToEnd(): Promise<void> {
    const untilMs = performance.now() + READ_AFTER_EXIT_MS;
    while (!this.#output.closed && performance.now() < untilMs) {
      const chunks = this.#chunks;
      await closedWithin(this.#output, QUIET_AFTER_EXIT_MS);
      if (chunks === this.#chunks) break;
    }
    this.#output.destroy();
    this.#end();
  }

  #read(chunk: Buffer): void {
    this.#chunks++;
    clearTimeout(this.#pause);
    this.#splitter.push(chunk);
    if (this.#splitter.unended) this.#pause = setTimeout(() => this.#splitter.flush(), UNENDED_LINE_PAUSE_MS).unref();
  }

  #end(): void {
    clearTimeout(this.#pause);
    this.#splitter.flush();
  }
}

async function closedWithin(output: Readable, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let closed: () => void = () => {};
  await new Promise<void>((resolve) => {
    closed = resolve;
    timer = setTimeout(resolve, limitMs);
    output.once("close", closed);
  });
  clearTimeout(timer);
  output.off("close", closed);
}
