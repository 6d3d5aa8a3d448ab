import { connect, type Socket } from "node:net";

/** A connection that is written and read by hand. */
export class RawConnection {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  text = "";
  #waiters: (() => void)[] = [];

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1" });
    this.socket.setEncoding("latin1");
    this.socket.on("data", (data: string) => {
      this.text += data;
      this.#wake();
    });
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.socket.once("close", () => {
        this.#wake();
        resolve();
      });
    });
  }

  write(text: string): this {
    this.socket.write(text, "latin1");
    return this;
  }

  /** Resolves when what came has `part`; rejects when the connection closes before. */
  async until(part: string): Promise<string> {
    while (!this.text.includes(part)) {
      if (this.socket.closed) throw new Error(`closed after ${JSON.stringify(this.text)}`);
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    return this.text;
  }

  /** Resolves when the pattern is there so many times. */
  async untilMatch(pattern: RegExp, times: number): Promise<string> {
    while ([...this.text.matchAll(pattern)].length < times) {
      if (this.socket.closed) throw new Error(`closed after ${JSON.stringify(this.text)}`);
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    return this.text;
  }

  /** What comes next is counted from here on. */
  forget(): this {
    this.text = "";
    return this;
  }

  /** All that came until the other side closed. */
  async all(): Promise<string> {
    await this.closed;
    return this.text;
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}
