import { expect } from "chai";
import { Deadline } from "../../src/async/deadline.ts";
import { eventually } from "../support/eventually.ts";
import { needsPhp } from "../support/php.ts";
import { startPool, stopPools } from "../support/test-pool.ts";

describe("Modes of a pool", () => {
  before(function () {
    needsPhp(this, "posix");
  });
  afterEach(stopPools);

  describe("debug", () => {
    it("gives every call a worker of its own, and keeps none", async () => {
      const pool = await startPool({ debug: true, numWorkers: 0 });
      const replies = await Promise.all([pool.call("pid"), pool.call("pid"), pool.call("pid")]);
      expect(new Set(replies.map(({ pid }) => pid)).size).to.equal(3);
      await eventually("all were gone", () => pool.pool.workers.length === 0);
    });

    it("bounds how many run at a time", async () => {
      const pool = await startPool({ debug: true, numWorkers: 0, numWorkersMax: 2 });
      const replies = await Promise.all(Array.from({ length: 6 }, (_, at) => pool.call(`echo ${at}`)));
      expect(replies.map(({ body }) => body)).to.deep.equal(["0", "1", "2", "3", "4", "5"]);
    });

    it("fails the call whose worker cannot boot, and serves the next", async () => {
      const first = await startPool();
      const file = first.file();
      const pool = await startPool({ debug: true, numWorkers: 0, script: `boots-while.php ${file}` });
      const { rmSync, writeFileSync } = await import("node:fs");
      rmSync(file);
      expect((await pool.failure("echo")).reason).to.equal("BOOT_FAILED");
      writeFileSync(file, "");
      expect((await pool.call("echo fixed")).body).to.equal("fixed");
    });

    it("cannot be scaled", async () => {
      const pool = await startPool({ debug: true, numWorkers: 0 });
      const refused = await pool.pool.scale(2).then(
        () => undefined,
        ({ message }: Error) => message,
      );
      expect(refused).to.contain("debug mode");
    });
  });

  describe("dynamic allocator", () => {
    it("grows while calls wait, and shrinks when it was idle", async () => {
      const pool = await startPool({
        numWorkers: 1,
        dynamicAllocator: { maxWorkers: 3, spawnRate: 2, idleTimeoutMs: 400 },
      });
      const held = await Promise.all(Array.from({ length: 4 }, () => pool.hold()));
      expect(new Set(held.map(({ pid }) => pid)).size, "one and three extra").to.equal(4);
      for (const { release } of held) release();
      for (const { reply } of held) await reply;
      await pool.event("pool.shrunk");
      await pool.whole(1);
      expect(pool.eventsOf("pool.grown").map(({ attributes }) => attributes.extra_workers)).to.deep.equal(["2", "3"]);
    });
  });

  describe("the prefix of RoadRunner 1", () => {
    const goridge1 = { script: "goridge1.php", protocol: "goridge1" } as const;

    it("runs calls", async () => {
      const pool = await startPool(goridge1);
      const reply = await pool.call("hello", { context: '{"any":"context"}' });
      expect([reply.body, reply.context]).to.deep.equal(["olleh", '{"any":"context"}']);
      expect((await pool.call("no context")).context).to.equal("");
      const large = "0123456789".repeat(100_000);
      expect((await pool.call(large)).body.length).to.equal(1_000_000);
    });

    it("keeps a worker that answers with an error", async () => {
      const pool = await startPool(goridge1);
      const before = pool.pids;
      const error = await pool.failure("error");
      expect([error.reason, error.message]).to.deep.equal(["WORKER_ERROR", "old soft error"]);
      expect((await pool.call("abc")).body).to.equal("cba");
      expect(pool.pids).to.deep.equal(before);
    });

    it("replaces a worker that printed to the channel", async () => {
      const pool = await startPool(goridge1);
      const error = await pool.failure("print");
      expect(error.reason).to.equal("PROTOCOL_VIOLATION");
      expect(error.message).to.contain("text where a packet should be");
      await pool.whole();
    });

    it("ends workers by its own stop message", async () => {
      const pool = await startPool(goridge1);
      await pool.pool.stop(Deadline.after(1_000));
      const [stopped] = pool.eventsOf("worker.stopped", "worker.killed");
      expect(stopped?.type).to.equal("worker.stopped");
      expect(stopped?.attributes.exit_code).to.equal("0");
    });
  });

  describe("output of workers", () => {
    it("becomes log lines with pool, pid and the id of the request", async () => {
      const pool = await startPool();
      const { pid } = await pool.call("log-stderr by its path", { requestId: "request-3" });
      const line = await eventually("the line came", () => pool.line("logged by path by its path"));
      expect(line.fields).to.include({ pool: "test", pid, request_id: "request-3" });
    });
  });

  describe("environment of workers", () => {
    it("is that of the server with what the pool adds", async () => {
      const pool = await startPool({ env: { RR_MODE: "test", ADDED: "by the pool" } });
      expect((await pool.call("env RR_RELAY")).body).to.equal("pipes");
      expect((await pool.call("env RR_MODE")).body).to.equal("test");
      expect((await pool.call("env ADDED")).body).to.equal("by the pool");
      expect((await pool.call("env PATH")).body).to.equal(process.env.PATH);
    });
  });
});
