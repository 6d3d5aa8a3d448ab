import { create } from "@bufbuild/protobuf";
import { expect } from "chai";
import {
  type CallCommand,
  type DispatchStreamRequest,
  type DispatchStreamResponse,
  DispatchStreamResponseSchema,
} from "../../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import type { CoreClient } from "../../../src/client/core-client.ts";
import { type CallHandle, createDispatchClient, type DispatchClient } from "../../../src/client/dispatch-client.ts";
import type { RrError } from "../../../src/errors.ts";
import { eventually } from "../../support/eventually.ts";

const PIECE = Buffer.alloc(64 * 1024, "p");

/** A core that the test is: what it was told, connection by connection, and what it answers. */
class FakeCore {
  readonly connections: FakeConnection[] = [];
  messageBytesMax = 64 << 20;
  readonly client = {
    address: "fake",
    dispatch: {
      dispatchStream: (
        requests: AsyncIterable<DispatchStreamRequest>,
        { onHeader, signal }: { onHeader: (header: Map<string, string>) => void; signal: AbortSignal },
      ) => {
        const connection = new FakeConnection(requests);
        this.connections.push(connection);
        signal.addEventListener("abort", () => connection.end(new Error("closed")));
        setImmediate(() => onHeader(new Map([["rr-message-bytes-max", String(this.messageBytesMax)]])));
        return connection.responses();
      },
    },
  } as unknown as CoreClient;

  get last(): FakeConnection {
    return this.connections.at(-1)!;
  }
}

class FakeConnection {
  readonly commands: CallCommand[] = [];
  readonly messageSizes: number[] = [];
  readonly #requests: AsyncIterator<DispatchStreamRequest>;
  readonly #answers: DispatchStreamResponse[] = [];
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(requests: AsyncIterable<DispatchStreamRequest>) {
    this.#requests = requests[Symbol.asyncIterator]();
  }

  /** Takes one message, as gRPC does when it has room. */
  async take(): Promise<void> {
    const { value, done } = await this.#requests.next();
    if (done) return;
    this.commands.push(...value.commands);
    this.messageSizes.push(value.commands.length);
  }

  answer(callId: number, event: object): void {
    this.#answers.push(create(DispatchStreamResponseSchema, { events: [{ callId, event: event as never }] }));
    this.#wake?.();
  }

  /** The connection breaks. What gRPC does with the generator: it lets it go where it stands. */
  end(error: Error): void {
    this.#error = error;
    void this.#requests.return?.(undefined);
    this.#wake?.();
  }

  async *responses(): AsyncGenerator<DispatchStreamResponse> {
    for (;;) {
      const next = this.#answers.shift();
      if (next) yield next;
      else if (this.#error) throw this.#error;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

describe("A stream of calls to a core", () => {
  let core: FakeCore;
  let dispatch: DispatchClient;
  beforeEach(() => {
    core = new FakeCore();
    dispatch = createDispatchClient([core.client]);
  });
  afterEach(() => dispatch.close());

  const connected = (times = 1) =>
    eventually("it was connected", () => core.connections.length === times && core.last).then(async (connection) => {
      await new Promise((resolve) => setImmediate(resolve));
      return connection;
    });

  function open(overrides: object = {}) {
    const told: { replies: string[]; failure?: RrError } = { replies: [] };
    const handle = dispatch.open(
      {
        pool: "echo",
        context: Buffer.from("head"),
        body: Buffer.from("body"),
        codec: 0,
        moreBody: false,
        idempotent: true,
        requestId: "",
        windowBytes: 0,
        timeoutMs: 0,
        ...overrides,
      },
      {
        reply: ({ body }) => told.replies.push(Buffer.from(body).toString()),
        failed: (error) => {
          told.failure = error;
        },
      },
    );
    return { handle, told };
  }

  /** An upload that sends whenever it may. */
  function upload(handle: CallHandle, pieces: number) {
    const state = { sent: 0 };
    const go = () => {
      while (state.sent < pieces && handle.writable) handle.sendBody(PIECE, ++state.sent === pieces);
      if (state.sent < pieces) handle.whenWritable(go);
    };
    go();
    return state;
  }

  it("hangs no upload when the connection breaks while it takes nothing: all go on at the next one", async () => {
    const first = await connected();
    const uploads = Array.from({ length: 30 }, () => upload(open({ moreBody: true }).handle, 12));
    expect(uploads.some(({ sent }) => sent < 12)).to.equal(true);
    // gRPC has taken a message or two and has no room: the generator stands in the middle.
    await first.take();
    await first.take();
    first.end(new Error("gone"));
    const second = await connected(2);
    await eventually("all was sent", async () => {
      await second.take();
      const seen = second.commands.filter(({ command }) => command.case === "body");
      for (const { callId } of seen.slice(-8)) second.answer(callId, { case: "taken", value: { bytes: PIECE.length } });
      return uploads.every(({ sent }) => sent === 12) && seen.length === 30 * 12;
    });
  });

  it("lets a sender come to its end when its call is over, and does not have it ask for ever", async () => {
    const connection = await connected();
    const call = open({ moreBody: true, idempotent: false });
    const state = upload(call.handle, 40);
    await connection.take();
    connection.answer(connection.commands[0]!.callId, { case: "error", value: { message: "no" } });
    await eventually("it had failed", () => call.told.failure);
    await eventually("the sender was done", () => state.sent === 40);
    expect(connection.commands.filter(({ command }) => command.case === "body")).to.have.length.below(20);
  });

  it("cuts what is said in one turn into messages, whole bodies included", async () => {
    const connection = await connected();
    for (let call = 0; call < 40; call++) open({ body: Buffer.alloc(60_000) });
    for (let call = 0; call < 1_000; call++) open();
    while (connection.commands.length < 1_040) await connection.take();
    expect(Math.max(...connection.messageSizes)).to.be.at.most(256);
    expect(connection.messageSizes[0]).to.be.at.most(5);
  });

  it("keeps to the limit that the core tells, and fails what cannot", async () => {
    dispatch.close();
    core = new FakeCore();
    core.messageBytesMax = 64 * 1024;
    dispatch = createDispatchClient([core.client]);
    const connection = await connected();
    const large = open({ body: Buffer.alloc(100_000, "x") });
    const hopeless = open({ context: Buffer.alloc(70_000) });
    await eventually("it had failed", () => hopeless.told.failure);
    expect(hopeless.told.failure).to.include({ reason: "PAYLOAD_TOO_LARGE" });
    let bytes = 0;
    while (bytes < 100_000) {
      await connection.take();
      bytes = connection.commands.reduce((sum, { command }) => {
        if (command.case === "open") return sum + command.value.body.length;
        return command.case === "body" ? sum + command.value.data.length : sum;
      }, 0);
    }
    expect(bytes).to.equal(100_000);
    expect(connection.commands.at(-1)!.command).to.have.nested.property("value.last", true);
    connection.answer(connection.commands[0]!.callId, { case: "reply", value: { body: Buffer.from("done") } });
    await eventually("it was answered", () => large.told.replies[0] === "done");
  });

  it("repeats a call no more often than its budget, whoever repeats it", async () => {
    const { told } = open();
    const attempts: number[] = [];
    for (let time = 1; told.failure === undefined && time < 10; time++) {
      const connection = await connected(time);
      await connection.take();
      const [command] = connection.commands;
      if (command?.command.case !== "open") throw new Error("expected it to be opened");
      attempts.push(command.command.value.attemptsLeft);
      // Its worker died there, and it was about to run again.
      if (time === 1) connection.answer(command.callId, { case: "retried", value: { attempts: 2 } });
      await new Promise((resolve) => setImmediate(resolve));
      connection.end(new Error("gone"));
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(attempts).to.deep.equal([3, 1]);
    expect(told.failure).to.include({ reason: "UNAVAILABLE" });
  });

  it("tells what it is ready to hold, and gives back what its readers have taken", async () => {
    dispatch.close();
    core = new FakeCore();
    dispatch = createDispatchClient([core.client], { windowBytes: 1 << 20 });
    const connection = await connected();
    const calls = Array.from({ length: 20 }, () => open({ windowBytes: 100_000 }));
    while (connection.commands.length < 21) await connection.take();
    const windows = () =>
      connection.commands.flatMap(({ command }) => (command.case === "streamWindow" ? [command.value.bytes] : []));
    expect(windows()).to.deep.equal([1 << 20]);
    const ids = connection.commands.flatMap(({ callId, command }) => (command.case === "open" ? [callId] : []));
    for (const id of ids) connection.answer(id, { case: "reply", value: { body: Buffer.alloc(50_000) } });
    await eventually("all had come", () => calls.every(({ told }) => told.replies.length === 1));
    for (const { handle } of calls) handle.release!();
    while (windows().length < 2) await connection.take();
    await new Promise((resolve) => setImmediate(resolve));
    expect(windows()[1]).to.be.at.least(1 << 16);
  });
});
