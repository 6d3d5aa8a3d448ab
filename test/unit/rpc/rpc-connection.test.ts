import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect } from "chai";
import { encodeFrame, FLAG } from "../../../src/goridge/frame.ts";
import { FrameReader } from "../../../src/goridge/frame-reader.ts";
import type { RpcMethods } from "../../../src/rpc/rpc-method.ts";
import { RpcServer } from "../../../src/rpc/rpc-server.ts";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { memoryLog } from "../../support/memory-log.ts";

const ANSWER = "a".repeat(100_000);

describe("A connection of the RPC address", () => {
  const clock = new ManualClock();
  const { log, lines } = memoryLog();
  const sockets: Socket[] = [];
  let server: RpcServer;
  let running = 0;
  let runningMost = 0;
  let called = 0;
  const release: (() => void)[] = [];

  const methods: RpcMethods = {
    "test.Wait": () =>
      new Promise((resolve) => {
        runningMost = Math.max(runningMost, ++running);
        release.push(() => {
          running--;
          resolve(true);
        });
      }),
    "test.Large": () => {
      called++;
      return ANSWER;
    },
    "test.Echo": (argument) => argument,
  };

  before(async () => {
    server = await RpcServer.open({ kind: "tcp", host: "127.0.0.1", port: 0 }, { mode: 0o600 }, methods, log, clock);
  });
  beforeEach(() => {
    called = 0;
    runningMost = 0;
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });
  after(() => server.close());

  async function client(): Promise<Socket> {
    const socket = connect(server.port, "127.0.0.1");
    sockets.push(socket);
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  }

  /** Counts the answers that come. */
  function answers(socket: Socket): () => number {
    let count = 0;
    const reader = new FrameReader(
      {
        frame: (_header, _options, _payload, missingBytes) => {
          if (missingBytes === 0) count++;
        },
        frameContinues: (_data, missingBytes) => {
          if (missingBytes === 0) count++;
        },
        stray: () => {},
        violation: () => {},
      },
      1 << 24,
    );
    socket.on("data", (chunk: Buffer) => reader.push(chunk));
    return () => count;
  }

  /** Settles when it is closed, reset or not. */
  const closing = (socket: Socket) => new Promise((resolve) => socket.once("close", resolve));
  const call = (name: string, argument: unknown = true) =>
    encodeFrame(FLAG.JSON, 0, [1, name.length], Buffer.from(name), Buffer.from(JSON.stringify(argument)));
  const calls = (name: string, count: number) => Buffer.concat(Array.from({ length: count }, () => call(name)));

  it("has a few calls under way, however many were sent, and answers all of them", async () => {
    const socket = await client();
    const answered = answers(socket);
    socket.write(calls("test.Wait", 100));
    await eventually("all came", () => {
      for (const one of release.splice(0)) one();
      return answered() === 100;
    });
    expect(runningMost).to.equal(8);
  });

  it("calls nothing more for one that does not read, and closes it in the end", async () => {
    const socket = await client();
    socket.pause();
    socket.write(calls("test.Large", 2_000));
    let before = -1;
    await eventually("it waited for the reader", async () => {
      const same = called > 0 && called === before;
      before = called;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return same;
    });
    expect(called, "what the system buffers, and a little more").to.be.lessThan(500);
    const closed = closing(socket);
    clock.advance(30_001);
    socket.resume();
    await closed;
    expect(lines.at(-1)?.message).to.contain("does not read its answers within 30000 ms");
  });

  it("goes on when the reader does", async () => {
    const socket = await client();
    socket.pause();
    socket.write(calls("test.Large", 200));
    await eventually("some were called", () => called > 0);
    const answered = answers(socket);
    socket.resume();
    await eventually("all came", () => answered() === 200);
  });

  it("is closed when it never asks, and stays when it has", async () => {
    const [silent, asking] = [await client(), await client()];
    const answered = answers(asking);
    asking.write(call("test.Echo"));
    await eventually("it was answered", () => answered() === 1);
    const closed = closing(silent.resume());
    clock.advance(60_001);
    await closed;
    clock.advance(10 * 24 * 3_600_000);
    asking.write(call("test.Echo"));
    await eventually("it was answered again", () => answered() === 2);
  });

  it("has to finish a request, however slowly that goes on", async () => {
    const socket = await client();
    const closed = closing(socket.resume());
    const bytes = call("test.Echo", "x".repeat(1000));
    const answered = answers(socket);
    socket.write(Buffer.concat([call("test.Echo"), bytes.subarray(0, 30)]));
    await eventually("the beginning was read", () => answered() === 1);
    clock.advance(29_000);
    socket.write(bytes.subarray(30, 40));
    clock.advance(1_500);
    await closed;
    expect(lines.at(-1)?.message).to.contain("has not finished its request");
  });

  it("leaves the others alone while it asks without a pause", async () => {
    const [busy, other] = [await client(), await client()];
    const [many, one] = [answers(busy), answers(other)];
    busy.write(calls("test.Echo", 20_000));
    await eventually("the flood began", () => many() > 0);
    other.write(call("test.Echo"));
    await eventually("the other one was answered", () => one() === 1);
    expect(many(), "long before all of the flood were").to.be.lessThan(20_000);
    await eventually("all came", () => many() === 20_000);
  });
});
