/** Carries bytes between the server and one worker, whatever it is made of. */
export interface Relay {
  /** Buffers of one message: they leave together. */
  write(buffers: readonly Buffer[]): void;
  /** More of a message. Settles when further bytes may follow, or none ever will because the other end is gone. */
  feed(buffer: Buffer): Promise<void>;
  /** More was written than the other end has taken: what is written now waits in memory. */
  readonly congested: boolean;
  /** Stops and starts reading, for backpressure. */
  pause(): void;
  resume(): void;
  /** Starts reading. */
  start(listener: RelayListener): void;
  destroy(): void;
}

export interface RelayListener {
  data(chunk: Buffer): void;
  /** Once: nothing more will be read. */
  closed(): void;
  /** Once: what is written reaches nobody. What the other end wrote may still be read. */
  unwritable?(): void;
  /** It was congested and is no longer. */
  drained?(): void;
}
