import type { MessageFromFrontend, MessageToFrontend } from "../../src/frontends/frontend-messages.ts";
import type { FrontendProcess } from "../../src/frontends/frontend-place.ts";
import type { ExitStatus } from "../../src/process/child-process.ts";

/** A frontend that does what the test says. Only SIGKILL and `exit` end it. */
export class FakeFrontend implements FrontendProcess {
  readonly pid: number;
  readonly received: MessageToFrontend[] = [];
  readonly exited: Promise<ExitStatus>;
  exitStatus: ExitStatus | undefined;
  /** Answers questions whether it is alive. */
  answers = true;
  #listeners: ((message: unknown) => void)[] = [];
  #resolve!: (status: ExitStatus) => void;

  constructor(pid: number) {
    this.pid = pid;
    this.exited = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#listeners.push(listener);
  }

  send(message: object): void {
    const told = message as MessageToFrontend;
    this.received.push(told);
    if (told.type === "ping" && this.answers) this.says({ type: "pong" });
  }

  signal(signal: "SIGTERM" | "SIGKILL"): void {
    if (signal === "SIGKILL") this.#end({ code: null, signal });
  }

  says(message: MessageFromFrontend): void {
    for (const listener of this.#listeners) listener(message);
  }

  exit(code: number): void {
    this.#end({ code, signal: null });
  }

  /** Types of messages, without the questions. */
  get told(): string[] {
    return this.received.map(({ type }) => type).filter((type) => type !== "ping");
  }

  #end(status: ExitStatus): void {
    if (this.exitStatus !== undefined) return;
    this.exitStatus = status;
    this.#resolve(status);
  }
}
