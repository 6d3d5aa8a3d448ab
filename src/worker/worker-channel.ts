import type { Clock } from "../clock.ts";
import type { WorkerMessageReader } from "../goridge/worker-protocol.ts";
import type { Relay } from "../relay/relay.ts";

/**
 * What a worker wrote before it ended may still be in the channel and is read for so long after the exit; not for ever,
 * since a child of the worker may hold the channel open.
 */
const READ_AFTER_EXIT_MS = 200;

export interface ChannelListener {
  /** All messages of what was read have been told. */
  afterRead(): void;
  /** The other end is gone. */
  closed(): void;
}

/** The way to one worker: its relay, once there is one, and the messages on it. */
export class WorkerChannel {
  readonly #reader: WorkerMessageReader;
  readonly #clock: Clock;
  readonly #listener: ChannelListener;
  #relay: Relay | undefined;
  #open = false;
  #paused = false;
  #readToEnd: (() => void) | undefined;

  constructor(reader: WorkerMessageReader, clock: Clock, listener: ChannelListener) {
    this.#reader = reader;
    this.#clock = clock;
    this.#listener = listener;
  }

  attach(relay: Relay): void {
    this.#relay = relay;
    this.#open = true;
    relay.start({
      data: (chunk) => {
        this.#reader.push(chunk);
        this.#listener.afterRead();
      },
      closed: () => {
        this.#open = false;
        this.#reader.end();
        this.giveUpReading();
        this.#listener.closed();
      },
    });
  }

  get open(): boolean {
    return this.#open;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Buffers of one message. */
  write(buffers: readonly Buffer[]): void {
    this.#relay!.write(buffers);
  }

  /** More of a message; see Relay. */
  feed(buffer: Buffer): Promise<void> {
    return this.#relay!.feed(buffer);
  }

  pause(): void {
    this.#paused = true;
    this.#relay!.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#relay!.resume();
  }

  /** Settles when all is read that the worker wrote. Time in which the caller does not take the reply does not count. */
  readToEnd(): Promise<void> {
    return new Promise((resolve) => {
      const giveUp = () => {
        if (this.#paused) stopTimer = this.#clock.after(READ_AFTER_EXIT_MS, giveUp);
        else resolve();
      };
      let stopTimer = this.#clock.after(READ_AFTER_EXIT_MS, giveUp);
      this.#readToEnd = () => {
        stopTimer();
        resolve();
      };
    });
  }

  /** Whoever waits in `readToEnd` waits no longer. */
  giveUpReading(): void {
    this.#readToEnd?.();
  }

  /** Tells text that no message followed. */
  end(): void {
    this.#reader.end();
  }

  destroy(): void {
    this.#relay?.destroy();
  }
}
