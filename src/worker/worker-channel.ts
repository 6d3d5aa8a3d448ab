import type { Clock, StopTimer } from "../clock.ts";
import type { WorkerMessageReader } from "../goridge/worker-protocol.ts";
import type { Relay } from "../relay/relay.ts";

/**
 * What a worker wrote before it ended may still be in the channel and is read for so long after the exit; not for ever,
 * since a child of the worker may hold the channel open.
 */
const READ_AFTER_EXIT_MS = 200;
/** So many messages in one read are a flood of tiny ones. */
const FLOOD_MESSAGES = 1_000;
/** After a flood the channel rests so many times as long as it took to read it, so that one worker does not take all. */
const FLOOD_REST_FACTOR = 3;
const FLOOD_REST_MIN_MS = 2;

export interface ChannelListener {
  /** All messages of what was read have been told. */
  afterRead(): void;
  /** Nothing more will be read. */
  closed(): void;
  /** What is written reaches nobody. */
  unwritable(): void;
}

/**
 * The way to one worker: its relay, once there is one, and the messages on it. It is read unless one of three asks for a
 * pause: the caller who takes the reply, a flood of messages, and answers to the worker that it does not take.
 */
export class WorkerChannel {
  readonly #reader: WorkerMessageReader;
  readonly #clock: Clock;
  readonly #listener: ChannelListener;
  #relay: Relay | undefined;
  #open = false;
  #paused = false;
  #stopRest: StopTimer | undefined;
  /** The worker says more than it hears. */
  #unheard = false;
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
        const before = this.#reader.framesRead;
        const startedAtMs = this.#clock.monotonicMs();
        this.#reader.push(chunk);
        this.#listener.afterRead();
        if (this.#reader.framesRead - before >= FLOOD_MESSAGES) this.#rest(this.#clock.monotonicMs() - startedAtMs);
      },
      closed: () => {
        this.#open = false;
        this.#reader.end();
        this.giveUpReading();
        this.#listener.closed();
      },
      unwritable: () => this.#listener.unwritable(),
      drained: () => {
        this.#unheard = false;
        this.#readOn();
      },
    });
  }

  get open(): boolean {
    return this.#open;
  }

  /** The caller asked for a pause. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Buffers of one message. */
  write(buffers: readonly Buffer[]): void {
    this.#relay!.write(buffers);
  }

  /** An answer to something that the worker said. If it does not take its answers, it is not listened to meanwhile. */
  answer(message: Buffer): void {
    this.#relay!.write([message]);
    if (!this.#relay!.congested) return;
    this.#unheard = true;
    this.#relay!.pause();
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
    this.#readOn();
  }

  #readOn(): void {
    if (!this.#paused && !this.#stopRest && !this.#unheard) this.#relay!.resume();
  }

  #rest(readingMs: number): void {
    if (this.#stopRest) return;
    this.#relay!.pause();
    this.#stopRest = this.#clock.after(Math.max(FLOOD_REST_MIN_MS, FLOOD_REST_FACTOR * readingMs), () => {
      this.#stopRest = undefined;
      this.#readOn();
    });
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
      // It hears nothing any more.
      this.#unheard = false;
      this.#readOn();
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
    this.#stopRest?.();
    this.#relay?.destroy();
  }
}
