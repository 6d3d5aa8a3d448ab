import { expect } from "chai";
import { connectCore } from "../../src/client/core-client.ts";
import { createDispatchClient, type DispatchClient } from "../../src/client/dispatch-client.ts";
import type { RrError } from "../../src/errors.ts";
import { eventually, within } from "../support/eventually.ts";
import { needsPhp } from "../support/php.ts";
import { freePort } from "../support/pool-options.ts";
import { failure, open } from "../support/streamed-call.ts";
import { startCore, stopCores, type TestCore } from "../support/test-core.ts";

describe("DispatchStream", () => {
  let core: TestCore;
  let dispatch: DispatchClient;
  before(async function () {
    needsPhp(this, "posix");
    core = await startCore({ echo: { num_workers: 3, stream_timeout: "2s" } });
    dispatch = createDispatchClient([core.client]);
  });
  after(async () => {
    dispatch?.close();
    await stopCores();
  });

  const idle = () =>
    eventually("nothing ran", async () => {
      const { pool } = await core.client.pools.getPool({ pool: "echo" });
      return pool!.workersReady === 3 && pool!.workersStopping + pool!.workersBooting === 0;
    });
  const pids = async () => (await core.client.workers.listWorkers({ pool: "echo" })).workers.map(({ pid }) => pid);

  it("runs many calls at a time and mixes none up", async () => {
    const answers = await Promise.all(Array.from({ length: 500 }, (_, at) => open(dispatch, `echo ${at}`).ended));
    expect(answers.map(Number)).to.deep.equal(Array.from({ length: 500 }, (_, at) => at));
    expect(dispatch.openCalls).to.equal(0);
  });

  it("goes on when what one caller does with its answer throws", async () => {
    const errors: string[] = [];
    const broken = new Promise<void>((resolve) =>
      dispatch.open(
        {
          pool: "echo",
          context: Buffer.alloc(0),
          body: Buffer.from("echo x"),
          codec: 0,
          moreBody: false,
          idempotent: false,
          requestId: "",
          windowBytes: 1 << 20,
          timeoutMs: 0,
        },
        {
          reply: () => {
            throw new Error("a bug in the caller");
          },
          failed: ({ reason, message }) => {
            errors.push(`${reason}: ${message}`);
            resolve();
          },
        },
      ),
    );
    const slow = open(dispatch, "sleep 300");
    await broken;
    expect(errors).to.deep.equal(["INTERNAL: a bug in the caller"]);
    expect(await slow.ended).to.equal("slept");
    expect(dispatch.openCalls).to.equal(0);
  });

  it("answers in the order in which workers are done, not in that of the calls", async () => {
    const order: string[] = [];
    const slow = open(dispatch, "sleep 300").ended.then(() => order.push("slow"));
    const fast = open(dispatch, "echo").ended.then(() => order.push("fast"));
    await Promise.all([slow, fast]);
    expect(order).to.deep.equal(["fast", "slow"]);
  });

  it("takes a body in pieces, and no worker before the last one", async () => {
    const call = open(dispatch, "echo one,", { moreBody: true });
    call.handle.sendBody(Buffer.from("two,"), false);
    await open(dispatch, "echo").ended;
    expect((await core.client.pools.getPool({ pool: "echo" })).pool!.workersWorking).to.equal(0);
    call.handle.sendBody(Buffer.from("three"), true);
    expect(await call.ended).to.equal("one,two,three");
  });

  it("streams no further than the window, and on when it is opened", async () => {
    const call = open(dispatch, "stream-forever", { windowBytes: 20_000 });
    await eventually("the window was filled", () => call.parts.join("").length >= 20_000);
    let bytes = call.parts.join("").length;
    await open(dispatch, "sleep 100").ended;
    expect(call.parts.join("").length, "a part that had begun may end").to.be.within(bytes, 20_000 + 70_000);
    bytes = call.parts.join("").length;
    call.handle.grant(200_000);
    await eventually("the stream went on", () => call.parts.join("").length > bytes + 50_000);
    call.handle.cancel();
    await idle();
  });

  it("cancels a stream without losing the worker, and a call that waits", async () => {
    const before = await pids();
    const streams = Array.from({ length: 3 }, () => open(dispatch, "stream-forever"));
    await eventually("all streams flowed", () => streams.every(({ parts }) => parts.length > 3));
    const waiting = open(dispatch, "echo");
    await eventually(
      "one waited",
      async () => (await core.client.pools.getPool({ pool: "echo" })).pool!.queueLength === 1,
    );
    waiting.handle.cancel();
    for (const { handle } of streams) handle.cancel();
    await idle();
    expect(await pids()).to.have.members(before);
    expect(dispatch.openCalls).to.equal(0);
  });

  it("fails calls one by one, with reason and metadata", async () => {
    const [error, exited, unknown, fine] = [
      open(dispatch, "error no luck"),
      open(dispatch, "exit-255"),
      open(dispatch, "echo", { pool: "nobody" }),
      open(dispatch, "echo fine"),
    ];
    expect(await failure(error!)).to.include({ reason: "WORKER_ERROR", message: "no luck" });
    expect((await failure(exited!)).metadata).to.include({ exit_code: "255", pool: "echo" });
    expect((await failure(unknown!)).reason).to.equal("POOL_NOT_FOUND");
    expect(await fine!.ended).to.equal("fine");
    await idle();
  });

  it("ends a call that takes longer than its caller gave it, and the worker goes on", async () => {
    const before = await pids();
    const error = await failure(open(dispatch, "sleep 400", { timeoutMs: 100 }));
    expect(error.reason).to.equal("DEADLINE_EXCEEDED");
    expect(error.metadata).to.include({ limit_ms: "100" });
    await idle();
    expect(await pids()).to.have.members(before);
  });

  it("repeats an idempotent call whose worker died", async () => {
    const { writeFileSync } = await import("node:fs");
    const file = `${core.directory}/die-once`;
    writeFileSync(file, "");
    expect(await open(dispatch, `die-once ${file}`, { idempotent: true }).ended).to.match(/^\d+$/);
    await idle();
  });

  it("cancels what is open when the caller's connection ends", async () => {
    const other = connectCore(core.address);
    const stream = createDispatchClient([other]);
    const call = open(stream, "stream-forever");
    await eventually("it flowed", () => call.parts.length > 3);
    stream.close();
    expect((await failure(call)).reason).to.equal("UNAVAILABLE");
    other.close();
    await idle();
    await eventually("the core had forgotten it", async () => {
      const { stats } = await core.client.stats.getStats({});
      return stats!.callsOpen === 0;
    });
  });
});

describe("DispatchStream of a core that comes and goes", () => {
  afterEach(stopCores);
  before(function () {
    needsPhp(this);
  });

  it("fails what was under way, and carries on with the next core at the same address", async function () {
    this.timeout(20_000);
    const port = await freePort();
    const listen = { listen: `tcp://127.0.0.1:${port}` };
    const first = await startCore({ echo: { num_workers: 1 } }, listen);
    const client = connectCore(first.address);
    const dispatch = createDispatchClient([client]);
    try {
      expect(await open(dispatch, "echo one").ended).to.equal("one");
      const lost = open(dispatch, "sleep 60000");
      await eventually("it ran", async () => (await first.client.pools.getPool({})).pool!.workersWorking === 1);
      await stopCores();
      expect((await failure(lost)).reason).to.be.oneOf(["UNAVAILABLE", "DRAINING", "WORKER_EXITED"]);
      const early = open(dispatch, "echo early");
      await startCore({ echo: { num_workers: 1 } }, listen);
      expect(await early.ended, "a call waits a moment for the core to come back").to.equal("early");
      expect(await open(dispatch, "echo two").ended).to.equal("two");
    } finally {
      dispatch.close();
      client.close();
    }
  });

  it("ends every upload that was under way, one way or the other, and takes new ones", async function () {
    this.timeout(30_000);
    const port = await freePort();
    const listen = { listen: `tcp://127.0.0.1:${port}` };
    const first = await startCore({ echo: { num_workers: 2 } }, listen);
    const client = connectCore(first.address);
    const dispatch = createDispatchClient([client]);
    const piece = Buffer.alloc(64 * 1024, "p");
    const upload = (pieces: number) => {
      const call = open(dispatch, "body ", { moreBody: true, windowBytes: Number.POSITIVE_INFINITY });
      let sent = 0;
      const go = () => {
        while (sent < pieces && call.handle.writable) call.handle.sendBody(piece, ++sent === pieces);
        if (sent < pieces) call.handle.whenWritable(go);
      };
      go();
      return call;
    };
    try {
      expect(Number.parseInt(await upload(10).ended, 10)).to.equal(5 + 10 * piece.length);
      const under = Array.from({ length: 24 }, () => upload(50));
      await new Promise((resolve) => setImmediate(resolve));
      await stopCores();
      await startCore({ echo: { num_workers: 2 } }, listen);
      const outcomes = await within(
        15_000,
        "every upload ended",
        Promise.all(
          under.map(({ ended }) =>
            ended.then(
              (answer) => Number.parseInt(answer, 10) === 5 + 50 * piece.length,
              ({ reason }: RrError) => ["UNAVAILABLE", "DRAINING", "WORKER_EXITED"].includes(reason),
            ),
          ),
        ),
      );
      expect(outcomes).to.not.include(false);
      expect(Number.parseInt(await upload(10).ended, 10)).to.equal(5 + 10 * piece.length);
      expect(dispatch.openCalls).to.equal(0);
    } finally {
      dispatch.close();
      client.close();
    }
  });

  it("says so when no core can be reached", async function () {
    this.timeout(10_000);
    const client = connectCore(`tcp://127.0.0.1:${await freePort()}`);
    const dispatch = createDispatchClient([client]);
    const error = await failure(open(dispatch, "echo"));
    expect(error.reason).to.equal("UNAVAILABLE");
    expect(error.message).to.contain("could not be reached");
    dispatch.close();
    client.close();
  });
});
