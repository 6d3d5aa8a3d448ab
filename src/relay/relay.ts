/** Carries bytes between the server and one worker, whatever it is made of. */
export interface Relay {
  /** Buffers of one message: they leave together. */
  write(buffers: readonly Buffer[]): void;
  /** More of a message. Settles when further bytes may follow, or none ever will because the other end is gone. */
  feed(buffer: Buffer): Promise<void>;
  /** Stops and starts reading, for backpressure. */
  pause(): void;
  resume(): void;
  /** Starts reading. `closed` is called once, when the other end is gone. */
  start(listener: RelayListener): void;
  destroy(): void;
}

export interface RelayListener {
  data(chunk: Buffer): void;
  closed(): void;
}
