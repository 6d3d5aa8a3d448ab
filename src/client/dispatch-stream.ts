import { setTimeout as sleep } from "node:timers/promises";
import type {
  CallCommand,
  CallEvent,
  DispatchStreamRequest,
  OpenCall,
} from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { RrError } from "../errors.ts";
import { IdMap } from "../id-map.ts";
import type { CoreCandidate } from "./core-choice.ts";
import type { CoreClient } from "./core-client.ts";
import type { PoolHealth } from "./pool-health.ts";

/** A call as its stream sees it. */
export interface StreamedCall {
  readonly callId: number;
  event(event: CallEvent["event"]): void;
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

/** Body bytes that may wait for the stream before senders are asked to pause. */
const PENDING_BYTES_MAX = 1024 * 1024;
const RECONNECT_DELAY_MS = 50;

/** Many calls on one stream to one core, batched by event-loop turn. Connects again by itself. */
export class DispatchStream<Call extends StreamedCall> implements CoreCandidate {
  readonly #core: CoreClient;
  readonly #listener: DispatchStreamListener<Call>;
  /** Undefined: nobody has a choice, so nobody asks. */
  readonly #health: PoolHealth | undefined;
  readonly #calls = new IdMap<Call>();
  #commands: CallCommand[] = [];
  #pendingBytes = 0;
  #wake: (() => void) | undefined;
  #drainWaiters: (() => void)[] = [];
  #connected = false;
  readonly #closing = new AbortController();

  constructor(core: CoreClient, listener: DispatchStreamListener<Call>, health?: PoolHealth) {
    this.#core = core;
    this.#listener = listener;
    this.#health = health;
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

  /** Only while connected. */
  open(call: Call, open: OpenCall): void {
    this.#calls.set(call.callId, call);
    this.send(call.callId, { case: "open", value: open });
  }

  /** @param bytes what the command adds to what waits for the stream */
  send(callId: number, command: CallCommand["command"], bytes = 0): void {
    this.#pendingBytes += bytes;
    const first = this.#commands.push({ $typeName: "roadrunner.dispatch.v1.CallCommand", callId, command }) === 1;
    // The first command of a turn arms the wake-up; the others of the turn join it.
    if (first && this.#wake) setImmediate(() => this.#wake?.());
  }

  /** The call hears no more. */
  cancel(callId: number): void {
    if (this.#calls.delete(callId))
      this.send(callId, { case: "cancel", value: { $typeName: "roadrunner.dispatch.v1.CancelCall" } });
  }

  get writable(): boolean {
    return this.#pendingBytes < PENDING_BYTES_MAX;
  }

  /** Calls back once, when more may be sent or the stream has broken. */
  whenWritable(callback: () => void): void {
    this.#drainWaiters.push(callback);
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
        onHeader: () => this.#established(),
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
      if (this.#commands.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        continue;
      }
      const commands = this.#commands;
      this.#commands = [];
      this.#pendingBytes = 0;
      const waiters = this.#drainWaiters;
      this.#drainWaiters = [];
      yield { $typeName: "roadrunner.dispatch.v1.DispatchStreamRequest", commands };
      for (const waiter of waiters) waiter();
    }
  }

  #established(): void {
    this.#connected = true;
    this.#listener.connected(this);
  }

  #ended(error: RrError): void {
    this.#connected = false;
    const unsent = new Set(this.#commands.flatMap(({ callId, command }) => (command.case === "open" ? [callId] : [])));
    const calls = this.#calls.values().map((call) => ({ call, isSent: !unsent.has(call.callId) }));
    this.#calls.clear();
    this.#commands = [];
    this.#pendingBytes = 0;
    this.#listener.broke(this, error, calls);
    for (const waiter of this.#drainWaiters.splice(0)) waiter();
  }

  #event({ callId, event }: CallEvent): void {
    const call = this.#calls.get(callId);
    // Late events of a call that was cancelled.
    if (!call) return;
    if (event.case === "error" || (event.case === "reply" && !event.value.more)) this.#calls.delete(callId);
    call.event(event);
  }
}
