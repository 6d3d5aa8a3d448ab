import { expect } from "chai";
import { encodeFrame, FLAG, STREAM } from "../../../src/goridge/frame.ts";
import { FakePool } from "../../support/fake-pool.ts";

describe("Calls of a pool, by the clock of the test", () => {
  const pools: FakePool[] = [];
  async function start(overrides: ConstructorParameters<typeof FakePool>[0] = {}): Promise<FakePool> {
    const fake = await FakePool.start(overrides);
    pools.push(fake);
    return fake;
  }
  afterEach(async () => {
    for (const fake of pools.splice(0)) {
      await fake.stop();
      expect(fake.pool.callsOpen, "no call was left").to.equal(0);
      expect(fake.clock.timers, "no timer was left").to.equal(0);
    }
  });

  describe("waiting", () => {
    it("lasts as long as the setting says, for each call of its own", async () => {
      const fake = await start({ queueWaitMs: 1_000 });
      const held = fake.call("held");
      const first = fake.call("first");
      await fake.clock.advanceAsync(600);
      const second = fake.call("second");
      await fake.clock.advanceAsync(399);
      expect(first.told).to.deep.equal([]);
      await fake.clock.advanceAsync(1);
      expect(first.told).to.deep.equal(["QUEUE_WAIT_EXCEEDED", "settled"]);
      expect(second.told).to.deep.equal([]);
      await fake.clock.advanceAsync(600);
      expect(second.told).to.deep.equal(["QUEUE_WAIT_EXCEEDED", "settled"]);
      fake.processes.busy[0]!.answer("late");
      expect(held.told).to.deep.equal(["late", "settled"]);
    });

    it("ends in order, with the worker that becomes free", async () => {
      const fake = await start();
      const calls = ["one", "two", "three"].map((body) => fake.call(body));
      const order: string[] = [];
      for (let at = 0; at < 3; at++) {
        await fake.settle();
        const [worker] = fake.processes.busy;
        order.push(worker!.requests[0]!.body);
        worker!.answer("done");
      }
      expect(order).to.deep.equal(["one", "two", "three"]);
      for (const { told } of calls) expect(told).to.deep.equal(["done", "settled"]);
    });

    it("is given up without a trace", async () => {
      const fake = await start();
      fake.call("held");
      const waiting = fake.call("waiting");
      waiting.call.cancel();
      expect(waiting.told).to.deep.equal(["settled"]);
      expect(fake.pool.queueLength).to.equal(0);
      await fake.settle();
      fake.processes.busy[0]!.answer("done");
      await fake.settle();
      expect(fake.processes.started[0]!.requests).to.deep.equal([]);
    });
  });

  describe("a worker that dies", () => {
    it("costs a call that may run twice nothing, once", async () => {
      const fake = await start({ numWorkers: 3 });
      const { told } = fake.call("again", { idempotent: true });
      await fake.settle();
      fake.processes.busy[0]!.exit(null, "SIGKILL");
      await fake.settle();
      expect(told).to.deep.equal([]);
      fake.processes.busy[0]!.exit(null, "SIGKILL");
      await fake.settle();
      expect(told).to.deep.equal(["WORKER_EXITED", "settled"]);
      expect(fake.pool.figures.retries).to.equal(1);
    });

    for (const [what, options, code] of [
      ["that may not run twice", {}, 1],
      ["that ended in PHP's fatal error", { idempotent: true }, 255],
      ["whose attempts were used up", { idempotent: true, attemptsMax: 1 }, 1],
    ] as const)
      it(`fails a call ${what}`, async () => {
        const fake = await start({ numWorkers: 2 });
        const { told } = fake.call("once", options);
        await fake.settle();
        fake.processes.busy[0]!.exit(code);
        await fake.settle();
        expect(told).to.deep.equal(["WORKER_EXITED", "settled"]);
      });

    it("fails a call of which a part was answered", async () => {
      const fake = await start({ numWorkers: 2 });
      const { told } = fake.call("half", { idempotent: true });
      await fake.settle();
      fake.processes.busy[0]!.piece("part");
      fake.processes.busy[0]!.exit(1);
      await fake.settle();
      expect(told).to.deep.equal(["part+", "WORKER_EXITED", "settled"]);
    });
  });

  describe("a worker that asks to be replaced", () => {
    it("hands its call on, ten times at most", async () => {
      const fake = await start({ queueWaitMs: 60_000 });
      const { told } = fake.call("nobody wants it");
      for (let at = 0; at < 11; at++) {
        await fake.settle();
        expect(told, `after ${at}`).to.deep.equal([]);
        fake.processes.busy[0]!.answer("", '{"stop":true}');
        await fake.clock.advanceAsync(100);
      }
      expect(told).to.deep.equal(["WORKER_EXITED", "settled"]);
    });
  });

  describe("a worker whose channel is closed", () => {
    it("hands on a call that it has not read, whatever the call is", async () => {
      const fake = await start();
      fake.processes.started[0]!.pipes.writable = false;
      const { told } = fake.call("never read");
      await fake.settle();
      expect(told).to.deep.equal([]);
      expect(fake.processes.started).to.have.length(2);
      fake.processes.started[1]!.answer("by another");
      expect(told).to.deep.equal(["by another", "settled"]);
      await fake.clock.advanceAsync(1_000);
      expect(fake.processes.started[0]!.signals).to.deep.equal(["SIGKILL"]);
    });

    it("fails a call that is too large to know that", async () => {
      const fake = await start();
      const [worker] = fake.processes.started;
      worker!.pipes.writable = false;
      const { told } = fake.call("x".repeat(70_000));
      await fake.clock.advanceAsync(1_000);
      expect(told).to.deep.equal(["PROTOCOL_VIOLATION", "settled"]);
    });

    it("gets no call any more, and is replaced before it has ended", async () => {
      const fake = await start();
      fake.call("first");
      await fake.settle();
      const [worker] = fake.processes.started;
      worker!.answer("done");
      worker!.pipes.end();
      await fake.settle();
      const { told } = fake.call("second");
      await fake.settle();
      expect(worker!.requests).to.deep.equal([]);
      fake.processes.busy[0]!.answer("by another");
      expect(told).to.deep.equal(["by another", "settled"]);
      worker!.exit(0);
      await fake.settle();
      expect(fake.eventsOf("worker.exited")).to.have.length(1);
      expect(fake.pool.workers).to.have.length(1);
    });

    it("that died young makes a pause, seen by the channel or by the exit", async () => {
      const fake = await start();
      fake.processes.started[0]!.exit(7);
      await fake.settle();
      fake.processes.started.at(-1)!.exit(7);
      await fake.settle();
      const started = fake.processes.started.length;
      await fake.clock.advanceAsync(99);
      expect(fake.processes.started).to.have.length(started);
      await fake.clock.advanceAsync(200);
      expect(fake.processes.started.length).to.be.greaterThan(started);
    });
  });

  describe("a stream", () => {
    it("waits for its reader, and tells the worker to go on when there is room", async () => {
      const fake = await start();
      const { call, told } = fake.call("stream", { window: 1 });
      await fake.settle();
      const [worker] = fake.processes.busy;
      worker!.piece("one", STREAM.PING);
      worker!.piece("two", STREAM.PING);
      expect([told, worker!.heard]).to.deep.equal([["one+"], ["pid"]]);
      call.resume();
      await fake.settle();
      expect([told, worker!.heard]).to.deep.equal([
        ["one+", "two+"],
        ["pid", "pong", "pong"],
      ]);
      worker!.answer("end");
      expect(told.slice(-2)).to.deep.equal(["end", "settled"]);
    });

    it("passes over pieces with nothing in them", async () => {
      const fake = await start();
      const { told } = fake.call("stream");
      await fake.settle();
      const [worker] = fake.processes.busy;
      worker!.piece("");
      for (let at = 0; at < 100; at++) worker!.piece("");
      worker!.piece("some");
      worker!.answer("");
      expect(told, "the first is the beginning of the answer").to.deep.equal(["+", "some+", "", "settled"]);
    });

    it("of a caller who left is asked to end, and its worker killed if it does not", async () => {
      const fake = await start({ streamTimeoutMs: 3_000 });
      const { call, told } = fake.call("stream");
      await fake.settle();
      const [worker] = fake.processes.busy;
      worker!.piece("one");
      call.cancel();
      await fake.settle();
      expect(worker!.heard).to.deep.equal(["pid", "stream stop"]);
      await fake.clock.advanceAsync(2_999);
      expect(worker!.alive).to.equal(true);
      await fake.clock.advanceAsync(1);
      expect(worker!.alive).to.equal(false);
      await fake.settle();
      expect(told).to.deep.equal(["one+", "settled"]);
    });

    it("whose worker does not take what it is told is not listened to meanwhile", async () => {
      const fake = await start();
      const { told } = fake.call("stream");
      await fake.settle();
      const [worker] = fake.processes.busy;
      worker!.pipes.congested = true;
      worker!.piece("one", STREAM.PING);
      worker!.piece("two", STREAM.PING);
      expect(told).to.deep.equal(["one+"]);
      worker!.pipes.drain();
      expect(told).to.deep.equal(["one+", "two+"]);
    });

    it("of tiny pieces rests after each read that was full of them", async () => {
      const fake = await start();
      const { told } = fake.call("stream");
      await fake.settle();
      const [worker] = fake.processes.busy;
      const piece = encodeFrame(FLAG.JSON, STREAM.STREAM, [0], Buffer.from("."));
      worker!.write(Buffer.concat(Array.from({ length: 1_000 }, () => piece)));
      worker!.piece("next");
      expect(told).to.have.length(1_000);
      await fake.clock.advanceAsync(2);
      expect(told).to.have.length(1_001);
    });
  });

  describe("errors that nobody asked for", () => {
    it("are dropped, up to a few of them", async () => {
      const fake = await start();
      const [worker] = fake.processes.started;
      for (let at = 0; at < 8; at++) worker!.error(`stray ${at}`);
      expect(worker!.alive).to.equal(true);
      const { told } = fake.call("mine");
      await fake.settle();
      worker!.answer("answered");
      for (let at = 0; at < 8; at++) worker!.error("counted anew");
      expect(told).to.deep.equal(["answered", "settled"]);
      expect(worker!.alive).to.equal(true);
      worker!.error("one too many");
      expect(worker!.alive).to.equal(false);
    });

    it("end a worker that sends nothing else", async () => {
      const fake = await start({ numWorkers: 2 });
      const { told } = fake.call("mine");
      await fake.settle();
      const [worker] = fake.processes.busy;
      worker!.introducesItself = false;
      for (let at = 0; at < 1_000; at++) worker!.error("flood");
      await fake.settle();
      expect(worker!.alive).to.equal(false);
      expect(worker!.heard.length, "it is not asked for each").to.be.lessThan(15);
      expect(told).to.have.length(2);
    });

    it("are told to the caller when it is certain that they are his", async () => {
      const fake = await start();
      const { told } = fake.call("mine");
      await fake.settle();
      fake.processes.busy[0]!.error("of this call");
      await fake.settle();
      expect(told).to.deep.equal(["WORKER_ERROR", "settled"]);
    });
  });

  it("has the codec that it was asked in when the answer names none", async () => {
    const fake = await start();
    const codecs: number[] = [];
    fake.pool.dispatch(
      {
        request: { context: Buffer.from("head"), body: Buffer.alloc(0), codec: 5 },
        idempotent: false,
        requestId: "",
      },
      {
        reply: ({ codec }) => codecs.push(codec) > 0,
        failed: () => {},
      },
    );
    await fake.settle();
    fake.processes.busy[0]!.write(encodeFrame(0, 0, [0], Buffer.from("no bit")));
    expect(codecs).to.deep.equal([5]);
  });

  it("that lasts too long is killed by exec_ttl, and a reader who is slow does not count", async () => {
    const fake = await start({ supervisor: { execTtlMs: 1_000 } });
    const slow = fake.call("slow reader", { window: 1 });
    await fake.settle();
    fake.processes.busy[0]!.piece("one");
    await fake.clock.advanceAsync(5_000);
    expect(slow.told).to.deep.equal(["one+"]);
    slow.call.resume();
    fake.processes.busy[0]!.answer("end");
    const long = fake.call("long");
    await fake.clock.advanceAsync(1_001);
    await fake.settle();
    expect(long.told).to.deep.equal(["EXEC_TIMEOUT", "settled"]);
  });
});
