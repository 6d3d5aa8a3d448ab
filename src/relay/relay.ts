/** Carries bytes between the server and one worker, whatever it is made of. */
export interface Relay {
  /** Buffers of one message: they leave together. */
  write(buffers: readonly Buffer[]): void;
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
