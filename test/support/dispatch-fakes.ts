import { create } from "@bufbuild/protobuf";
import {
  type CallCommand,
  CallCommandSchema,
  type CallEvent,
  type DispatchStreamRequest,
  DispatchStreamRequestSchema,
  type DispatchStreamResponse,
} from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { CallGate } from "../../src/api/call-gate.ts";
import { DispatchSession } from "../../src/api/dispatch-session.ts";
import type { SessionServices } from "../../src/api/stream-call.ts";
import { systemClock } from "../../src/clock.ts";
import type { DispatchOptions } from "../../src/dispatch/dispatcher.ts";
import type { RrError } from "../../src/errors.ts";
import { pieceLimits } from "../../src/grpc/dispatch-sizes.ts";
import type { CallSink } from "../../src/pool/call.ts";
import { Spill, type SpillSettings } from "../../src/spool/spill.ts";
import type { ReplyPart } from "../../src/worker/execution.ts";
import { memoryLog } from "./memory-log.ts";

/** A call as a pool would have it, answered by the test. */
export class FakeCall {
  readonly options: DispatchOptions;
  readonly startedAtMs = 0;
  readonly #sink: CallSink;
  cancelled = false;
  /** What the last part was answered with, and after `resume` true: whether its worker may go on. */
  mayGoOn = true;

  constructor(options: DispatchOptions, sink: CallSink) {
    this.options = options;
    this.#sink = sink;
  }

  resume(): void {
    this.mayGoOn = true;
  }

  cancel(): void {
    this.cancelled = true;
    this.#sink.settled?.();
  }

  reply(body: string | Buffer, { more = true, context = "", ...rest }: Partial<FakePart> = {}): boolean {
    const part: ReplyPart = { context: Buffer.from(context), body: Buffer.from(body), codec: 0, more, ...rest };
    this.mayGoOn = this.#sink.reply(part, 7);
    if (!more) this.#sink.settled?.();
    return this.mayGoOn;
  }

  fail(error: RrError): void {
    this.#sink.failed(error);
    this.#sink.settled?.();
  }
}

type FakePart = Omit<ReplyPart, "context"> & { context: string };

const NO_SPILL: SpillSettings = {
  open: () => Promise.reject(new Error("there is no disk")),
  bytesMax: 0,
  monotonicMs: () => 0,
  problem: () => {},
};

/** A session whose calls the test answers, and whose caller the test is. */
export class SessionUnderTest {
  readonly calls: FakeCall[] = [];
  readonly session: DispatchSession;
  readonly gate = new CallGate();
  readonly lines = memoryLog();
  /** Messages that the caller has read. */
  readonly messages: DispatchStreamResponse[] = [];
  /** What the next `dispatch` throws. */
  bug: Error | undefined;
  refusal: RrError | undefined;
  readonly #requests: DispatchStreamRequest[] = [];
  #more: (() => void) | undefined;
  #hungUp = false;
  readonly #output: AsyncGenerator<DispatchStreamResponse>;
  readonly consumed: Promise<void>;

  constructor({ messageBytes = 64 << 20, ...overrides }: Partial<SessionServices> & { messageBytes?: number } = {}) {
    const dispatcher = {
      admission: () => this.refusal,
      dispatch: (options: DispatchOptions, sink: CallSink) => {
        if (this.bug) throw this.bug;
        const call = new FakeCall(options, sink);
        this.calls.push(call);
        return call;
      },
    };
    this.session = new DispatchSession({
      dispatcher: dispatcher as never,
      gate: this.gate,
      intake: { payloadBytesMax: 1 << 30, spool: { room: undefined } as never, heldBytes: 0 },
      limits: pieceLimits(messageBytes),
      spillRules: { spill: new Spill(NO_SPILL), clock: systemClock, replyBytesMax: 0, streamBytesMax: 0 },
      redact: (text) => text,
      log: this.lines.log,
      fileOwner: () => ({}),
      ...overrides,
    });
    this.#output = this.session.output();
    this.consumed = this.session.consume(this.#input());
  }

  async *#input(): AsyncGenerator<DispatchStreamRequest> {
    for (;;) {
      const next = this.#requests.shift();
      if (next) yield next;
      else if (this.#hungUp) return;
      else
        await new Promise<void>((resolve) => {
          this.#more = resolve;
        });
    }
  }

  /** The caller says this, in one message, and the session has heard it. */
  async say(...commands: { callId: number; command: CallCommand["command"] }[]): Promise<void> {
    const made = commands.map((command) => create(CallCommandSchema, command as never));
    this.#requests.push(create(DispatchStreamRequestSchema, { commands: made }));
    this.#more?.();
    await turn();
  }

  async open(callId: number, open: object = {}): Promise<FakeCall | undefined> {
    const command = { case: "open", value: { body: Buffer.from("x"), ...open } };
    const before = this.calls.length;
    await this.say({ callId, command: command as never });
    return this.calls[before];
  }

  async hangUp(): Promise<void> {
    this.#hungUp = true;
    this.#more?.();
    await turn();
  }

  /** Reads one message. */
  async read(): Promise<CallEvent[]> {
    const { value, done } = await this.#output.next();
    if (done) return [];
    this.messages.push(value);
    await turn();
    return value.events;
  }

  /** Reads until nothing comes for a few turns. The session must not have ended. */
  async readAll(): Promise<CallEvent[]> {
    const events: CallEvent[] = [];
    this.#pending ??= this.#output.next();
    for (let idle = 0; idle < 10; ) {
      const result = await Promise.race([this.#pending, turn()]);
      if (result === undefined) {
        idle++;
        continue;
      }
      idle = 0;
      this.#pending = undefined;
      if (result.done) return events;
      this.messages.push(result.value);
      events.push(...result.value.events);
      this.#pending = this.#output.next();
    }
    return events;
  }

  #pending: Promise<IteratorResult<DispatchStreamResponse>> | undefined;
}

export function turn(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}

/** What the events tell of one call: the body of its reply, whether it has ended, and why it failed. */
export function replyOf(events: readonly CallEvent[], callId: number) {
  const bodies: Uint8Array[] = [];
  let ended = false;
  let failure = "";
  for (const { callId: id, event } of events) {
    if (id !== callId) continue;
    if (event.case === "reply") {
      bodies.push(event.value.body);
      ended = !event.value.more;
    }
    if (event.case === "error") failure = event.value.message;
  }
  return { body: Buffer.concat(bodies), ended, failure };
}
