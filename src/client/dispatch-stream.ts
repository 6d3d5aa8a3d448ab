import { setTimeout as sleep } from "node:timers/promises";
import type {
  CallCommand,
  CallEvent,
  DispatchStreamRequest,
  OpenCall,
} from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { Waiters } from "../async/waiters.ts";
import { RrError } from "../errors.ts";
import { BatchQueue } from "../grpc/batch-queue.ts";
import {
  commandBytes,
  DEFAULT_MAX_MESSAGE_BYTES,
  MESSAGE_BYTES_KEY,
  type PieceLimits,
  pieceLimits,
} from "../grpc/dispatch-sizes.ts";
import { IdMap } from "../id-map.ts";
import type { CoreCandidate } from "./core-choice.ts";
import type { CoreClient } from "./core-client.ts";
import type { PoolHealth } from "./pool-health.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { ResponseTally } from "./response-tally.ts";

/** A call as its stream sees it. */
export interface StreamedCall {
  readonly callId: number;
  event(event: CallEvent["event"]): void;
  /** Much is held: what it has gathered for a grant is to be granted now. */
  grantGathered(): void;
}

/** A call whose stream broke. `isSent`: the core may know of it. */
export interface LostCall<Call> {
  readonly call: Call;
  readonly isSent: boolean;
}

export interface DispatchStreamListener<Call extends StreamedCall> {
  connected(stream: DispatchStream<Call>): void;
  /** A stream that was connected broke, or, with no calls, could not be had. */
  broke(stream: DispatchStream<Call>, error: RrError, calls: readonly LostCall<Call>[]): void;
}

/** Bytes that may wait for the stream before senders are asked to pause. */
const PENDING_BYTES_MAX = 1024 * 1024;
/** What a sender that is told to go on brings next, about. */
const PIECE_BYTES = 64 * 1024;
const RECONNECT_DELAY_MS = 50;
const REPORT_INTERVAL_MS = 1_000;

/** Many calls on one stream to one core, batched by event-loop turn. Connects again by itself. */
export class DispatchStream<Call extends StreamedCall> implements CoreCandidate {
  readonly #core: CoreClient;
  readonly #listener: DispatchStreamListener<Call>;
  /** Undefined: nobody has a choice, so nobody asks. */
  readonly #health: PoolHealth | undefined;
  readonly #calls = new IdMap<Call>();
  readonly #windowBytes: number;
  #commands: BatchQueue<CallCommand>;
  #limits: PieceLimits;
  #window: ReceiveWindow;
  #wake: (() => void) | undefined;
  readonly #senders = new Waiters();
  #sendersTurn = false;
  #connected = false;
  readonly #responses = new ResponseTally();
  #responsesTimer: NodeJS.Timeout | undefined;
  readonly #closing = new AbortController();

  /** @param windowBytes what may be held of all replies before the core sends less of each; Infinity: any number */
  constructor(core: CoreClient, listener: DispatchStreamListener<Call>, windowBytes: number, health?: PoolHealth) {
    this.#core = core;
    this.#listener = listener;
    this.#health = health;
    this.#windowBytes = windowBytes;
    this.#limits = pieceLimits(DEFAULT_MAX_MESSAGE_BYTES);
    this.#commands = new BatchQueue(DEFAULT_MAX_MESSAGE_BYTES);
    this.#window = this.#newWindow();
    void this.#stayConnected();
  }

  get address(): string {
    return this.#core.address;
  }

  get connected(): boolean {
    return this.#connected;
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  has(callId: number): boolean {
    return this.#calls.has(callId);
  }

  serves(pool: string): boolean {
    return this.#health?.serves(pool) ?? true;
  }

  /** The calls that are open fail. */
  close(): void {
    this.#health?.close();
    this.#closing.abort();
    this.#wake?.();
  }

  /** What the core takes in one message, while connected. */
  get limits(): PieceLimits {
    return this.#limits;
  }

  /** What is held of replies of this connection. */
  get window(): ReceiveWindow {
    return this.#window;
  }

  /** Only while connected. */
  open(call: Call, open: OpenCall): void {
    this.#calls.set(call.callId, call);
    this.send(call.callId, { case: "open", value: open });
  }

  /** A command that fits in a message: see `commandPieces`. */
  send(callId: number, command: CallCommand["command"]): void {
    const entry = { $typeName: "roadrunner.dispatch.v1.CallCommand", callId, command } as const;
    this.#commands.push(entry, commandBytes(entry));
    // The first command of a turn arms the wake-up; the others of the turn join it.
    if (this.#commands.length === 1 && this.#wake) setImmediate(() => this.#wake?.());
  }

  /** The call hears no more. */
  cancel(callId: number): void {
    if (this.#calls.delete(callId))
      this.send(callId, { case: "cancel", value: { $typeName: "roadrunner.dispatch.v1.CancelCall" } });
  }

  /** A call of this core was answered with a status. Reported about once a second. */
  countResponse(pool: string, status: number): void {
    this.#responses.add(pool, status);
    this.#responsesTimer ??= setTimeout(() => this.#reportResponses(), REPORT_INTERVAL_MS).unref();
  }

  #reportResponses(): void {
    this.#responsesTimer = undefined;
    // Told to the next connection.
    if (!this.#connected) return;
    for (const value of this.#responses.take()) this.send(0, { case: "responses", value });
  }

  get writable(): boolean {
    return this.#commands.bytes < PENDING_BYTES_MAX;
  }

  /** Calls back once, when more may be sent or the stream has broken. */
  whenWritable(callback: () => void): void {
    this.#senders.add(callback);
    this.#wakeSenders();
  }

  /** A few each turn: all at once would bring more than anybody asked for. */
  #wakeSenders(): void {
    if (this.#sendersTurn || this.#senders.size === 0 || !this.writable) return;
    this.#sendersTurn = true;
    setImmediate(() => {
      this.#sendersTurn = false;
      this.#senders.wake(Math.ceil((PENDING_BYTES_MAX - this.#commands.bytes) / PIECE_BYTES));
      this.#wakeSenders();
    });
  }

  async #stayConnected(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#run();
      await sleep(RECONNECT_DELAY_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** One stream from its start to its end. */
  async #run(): Promise<void> {
    const stream = { ended: false };
    let error = new RrError("UNAVAILABLE", "the core ended the stream");
    try {
      const responses = this.#core.dispatch.dispatchStream(this.#batches(stream), {
        signal: this.#closing.signal,
        onHeader: (header) => this.#established(Number(header.get(MESSAGE_BYTES_KEY) ?? 0)),
      });
      for await (const { events } of responses) for (const event of events) this.#event(event);
    } catch (thrown) {
      error = RrError.from(thrown);
    }
    if (this.#closing.signal.aborted) error = new RrError("UNAVAILABLE", "the connection to the core was closed");
    stream.ended = true;
    this.#wake?.();
    this.#ended(error);
  }

  async *#batches(stream: { ended: boolean }): AsyncGenerator<DispatchStreamRequest> {
    while (!stream.ended && !this.#closing.signal.aborted) {
      this.#wakeSenders();
      if (this.#commands.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        continue;
      }
      yield { $typeName: "roadrunner.dispatch.v1.DispatchStreamRequest", commands: this.#commands.take() };
    }
  }

  #established(messageBytes: number): void {
    this.#limits = pieceLimits(messageBytes || DEFAULT_MAX_MESSAGE_BYTES);
    this.#commands = new BatchQueue(this.#limits.messageBytes);
    this.#window = this.#newWindow();
    this.#window.open();
    this.#connected = true;
    this.#listener.connected(this);
  }

  #newWindow(): ReceiveWindow {
    const give = (bytes: number) =>
      this.send(0, { case: "streamWindow", value: { $typeName: "roadrunner.dispatch.v1.StreamWindow", bytes } });
    return new ReceiveWindow(this.#windowBytes, give, () => {
      for (const call of this.#calls.values()) call.grantGathered();
    });
  }

  #ended(error: RrError): void {
    this.#connected = false;
    this.#window.close();
    const unsent = new Set(
      this.#commands.entries.flatMap(({ callId, command }) => (command.case === "open" ? [callId] : [])),
    );
    const calls = this.#calls.values().map((call) => ({ call, isSent: !unsent.has(call.callId) }));
    this.#calls.clear();
    this.#commands.clear();
    this.#listener.broke(this, error, calls);
    this.#senders.wakeAll();
  }

  #event({ callId, event }: CallEvent): void {
    const bytes = event.case === "reply" ? event.value.context.length + event.value.body.length : 0;
    if (bytes > 0) this.#window.received(bytes);
    const call = this.#calls.get(callId);
    // Late events of a call that was cancelled.
    if (!call) return this.#window.released(bytes);
    if (event.case === "error" || (event.case === "reply" && !event.value.more)) this.#calls.delete(callId);
    // While readers are slow, a view on a message would keep all of it.
    if (event.case === "reply" && this.#window.tight) event.value.body = Buffer.from(event.value.body);
    call.event(event);
  }
}
