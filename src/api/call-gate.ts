/** Counts the calls of all dispatch streams, from their first command on, and closes before the server ends. */
export class CallGate {
  #openCalls = 0;
  #closed = false;
  #waiters: (() => void)[] = [];

  /** New calls are to be refused; those that are inside may send the rest of their requests. */
  get closed(): boolean {
    return this.#closed;
  }

  entered(): void {
    this.#openCalls++;
  }

  left(): void {
    this.#openCalls--;
    if (this.#openCalls === 0) for (const waiter of this.#waiters.splice(0)) waiter();
  }

  close(): void {
    this.#closed = true;
  }

  /** Settles when no call is inside, or when the time is up. */
  async whenEmpty(timeoutMs: number): Promise<void> {
    if (this.#openCalls === 0 || timeoutMs <= 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
      this.#waiters.push(resolve);
    });
    clearTimeout(timer);
  }
}
