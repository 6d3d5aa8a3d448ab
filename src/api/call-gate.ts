import type { Deadline } from "../async/deadline.ts";
import { Waiters } from "../async/waiters.ts";

/** Counts calls that came by gRPC, from their first command on, and closes before the server ends. */
export class CallGate {
  #openCalls = 0;
  #closed = false;
  readonly #whenEmpty = new Waiters();

  /** New calls are to be refused; those that are inside may send the rest of their requests. */
  get closed(): boolean {
    return this.#closed;
  }

  entered(): void {
    this.#openCalls++;
  }

  left(): void {
    this.#openCalls--;
    if (this.#openCalls === 0) this.#whenEmpty.wakeAll();
  }

  close(): void {
    this.#closed = true;
  }

  /** Settles when no call is inside, or when the moment has come. */
  async whenEmpty(deadline: Deadline): Promise<void> {
    if (this.#openCalls === 0 || deadline.passed) return;
    await deadline.race(this.#whenEmpty.wait());
  }
}
