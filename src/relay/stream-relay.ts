import type { Readable, Writable } from "node:stream";
import type { Relay, RelayListener } from "./relay.ts";

/** A relay over Node streams: a child's stdin and stdout, or a socket, which is both at once. */
export class StreamRelay implements Relay {
  readonly #input: Readable;
  readonly #output: Writable;
  #listener: RelayListener | undefined;
  /** A write failed before anybody listened. */
  #failed = false;

  constructor(input: Readable, output: Writable) {
    this.#input = input;
    this.#output = output;
    output.on("error", () => {
      if (this.#failed) return;
      this.#failed = true;
      this.#listener?.unwritable?.();
    });
  }

  get congested(): boolean {
    return this.#output.writableNeedDrain;
  }

  write(buffers: readonly Buffer[]): void {
    if (buffers.length === 1) {
      this.#output.write(buffers[0]!);
      return;
    }
    this.#output.cork();
    for (const buffer of buffers) this.#output.write(buffer);
    this.#output.uncork();
  }

  async feed(buffer: Buffer): Promise<void> {
    const output = this.#output;
    if (output.destroyed || output.write(buffer)) return;
    await new Promise<void>((resolve) => {
      const goOn = () => {
        output.off("drain", goOn);
        output.off("close", goOn);
        resolve();
      };
      output.on("drain", goOn);
      output.on("close", goOn);
    });
  }

  pause(): void {
    this.#input.pause();
  }

  resume(): void {
    this.#input.resume();
  }

  start(listener: RelayListener): void {
    this.#listener = listener;
    let closed = false;
    const close = () => {
      if (closed) return;
      closed = true;
      listener.closed();
    };
    this.#input.on("data", (chunk: Buffer) => listener.data(chunk));
    this.#input.on("end", close);
    this.#input.on("close", close);
    this.#input.on("error", close);
    this.#output.on("drain", () => listener.drained?.());
    if (this.#failed) listener.unwritable?.();
    // A socket was paused after its introduction.
    this.#input.resume();
  }

  destroy(): void {
    this.#input.destroy();
    this.#output.destroy();
  }
}
