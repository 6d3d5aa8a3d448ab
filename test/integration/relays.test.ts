import { expect } from "chai";
import { Deadline } from "../../src/async/deadline.ts";
import type { RrError } from "../../src/errors.ts";
import { eventually } from "../support/eventually.ts";
import { needsPhp } from "../support/php.ts";
import { isAlive, type Reply, startPoolOn, stopPools, type TestPool } from "../support/test-pool.ts";

/** What must be the same on whatever carries the bytes. */
for (const kind of ["pipes", "unix", "tcp"] as const)
  describe(`A pool on ${kind}`, () => {
    let pool: TestPool;
    before(async function () {
      needsPhp(this, "posix", "sockets");
      pool = await startPoolOn(kind, { numWorkers: 2, supervisor: { execTtlMs: 400 } });
    });
    after(stopPools);
    afterEach(() => pool?.whole());

    it("runs a call on a process of its own", async () => {
      const { body, pid, context } = await pool.call("pid", { context: "any context" });
      expect(body).to.equal(String(pid));
      expect(pool.pids).to.include(pid);
      expect(context).to.equal("head");
    });

    it("hands bodies on unchanged, empty to several megabytes", async () => {
      expect((await pool.call("echo ")).body).to.equal("");
      const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString("latin1");
      expect((await pool.call(`echo ${every}`)).body).to.equal(Buffer.from(`${every}`).toString("latin1"));
      const large = "0123456789abcdef".repeat(300_000);
      expect((await pool.call(`echo ${large}`)).body === large, "4.8 MB come back as they went").to.equal(true);
    });

    it("spreads calls over the workers", async () => {
      const [one, other] = await Promise.all([pool.call("pid"), pool.call("pid")]);
      expect(one.pid).to.not.equal(other.pid);
    });

    it("streams a reply of many pieces", async () => {
      const { body, parts, context } = await pool.call("stream 23");
      expect(context).to.equal("head");
      expect(parts).to.have.length(24);
      expect(body).to.equal(`${Array.from({ length: 23 }, (_, at) => `piece ${at + 1};`).join("")}end`);
    });

    it("ends a stream that nobody reads any more, and keeps the worker", async () => {
      const { call, parts } = pool.open("stream-forever");
      await eventually("the stream flowed", () => parts.length > 20);
      const before = pool.pids;
      call.cancel();
      await pool.whole();
      expect(pool.pids).to.have.members(before);
      // Its log comes through another pipe than its answers.
      await eventually("PHP saw the stop", () => pool.line("stream stopped") !== undefined);
    });

    it("stops the worker of a stream whose reader waits, and goes on when it reads", async () => {
      const { call, parts } = pool.open("stream-forever", { partsBeforePause: 30 });
      await eventually("the stream flowed", () => parts.length >= 30);
      // What was read already may still come; the pipe's own buffer bounds what PHP can write.
      const beforeMs = performance.now();
      let seen = parts.length;
      await eventually("nothing more came", () => {
        if (parts.length !== seen) {
          seen = parts.length;
          return false;
        }
        return performance.now() - beforeMs > 200;
      });
      call.resume();
      await eventually("the stream went on", () => parts.length > seen + 100);
      call.cancel();
    });

    it("tells an error of the application from its death", async () => {
      const before = pool.pids;
      const error = await pool.failure("error something is wrong");
      expect([error.reason, error.message]).to.deep.equal(["WORKER_ERROR", "something is wrong"]);
      await pool.whole();
      expect(pool.pids).to.have.members(before);
    });

    it("replaces a worker that was killed, and says so", async () => {
      const error = await pool.failure("sigkill");
      expect(error.reason).to.equal("WORKER_EXITED");
      expect(error.metadata).to.include({ pool: "test", signal: "SIGKILL" });
      await pool.whole();
    });

    it("kills a worker that exceeds its time", async () => {
      const error = await pool.failure("sleep 10000");
      expect(error.reason).to.equal("EXEC_TIMEOUT");
      expect(error.metadata.limit_ms).to.equal("400");
      await pool.whole();
    });

    it("runs the call elsewhere when the worker asks to be replaced", async () => {
      const { body, pid } = await pool.call(`stop-once ${pool.file()}`);
      expect(body).to.equal(String(pid));
      await pool.event("worker.stopped", ({ reason }) => reason === "asked_to_stop");
    });

    it("survives what is printed and written to standard output", async () => {
      expect((await pool.call("print")).body).to.equal("answered");
      await eventually("the echo was logged", () => pool.line("printed text"));
      expect((await pool.call("write-stdout", { requestId: "request-7" })).body).to.equal("answered");
      const line = await eventually("the text was logged", () => pool.line("direct text"));
      expect(line.fields.pid).to.be.oneOf(pool.pids);
      if (kind === "pipes") {
        const event = await pool.event("worker.stray_output");
        expect(event.attributes).to.include({ request_id: "request-7" });
      } else expect(line.fields.stream).to.equal("stdout");
    });

    it("refuses an answer that breaks the protocol, and replaces the worker", async () => {
      for (const act of ["bad-context", "no-option", "introduce-again"]) {
        const error = await pool.failure(act);
        expect([act, error.reason]).to.deep.equal([act, "PROTOCOL_VIOLATION"]);
        await pool.whole();
      }
    });

    it("fails the call whose answer breaks off", async () => {
      const error = await pool.failure("half-frame");
      expect(error.reason).to.equal("WORKER_EXITED");
      expect(error.metadata.exit_code).to.equal("0");
    });

    it("reads the answer of a worker that leaves right after it", async () => {
      for (const kilobytes of [1, 60, 300])
        for (let round = 0; round < 5; round++) {
          const { body, pid } = await pool.call(`answer-then-exit ${kilobytes}`);
          expect(body).to.have.length(kilobytes * 1024);
          await eventually("the worker was gone", () => !pool.pids.includes(pid));
        }
    });

    it("never gives a second answer to another caller", async () => {
      const answers = await Promise.all([pool.call("twice"), pool.call("echo mine"), pool.call("echo mine too")]);
      expect(answers.map(({ body }) => body)).to.deep.equal(["first", "mine", "mine too"]);
      const event = await pool.event("worker.surplus_answer");
      expect(event.reason).to.equal("PROTOCOL_VIOLATION");
      await pool.whole();
      for (let round = 0; round < 4; round++) expect((await pool.call(`echo ${round}`)).body).to.equal(String(round));
    });

    it("never takes an error that comes late for the answer of the next call", async () => {
      const before = pool.pids;
      const late = [pool.call("answer-then-error-late"), pool.call("answer-then-error-late")];
      const next = [pool.call("echo mine"), pool.call("echo mine too"), pool.failure("error my own")];
      expect((await Promise.all(late)).map(({ body }) => body)).to.deep.equal(["first", "first"]);
      const [one, two, error] = (await Promise.all(next)) as [Reply, Reply, RrError];
      expect([one.body, two.body, error.message]).to.deep.equal(["mine", "mine too", "my own"]);
      const surplus = pool.eventsOf("worker.surplus_answer").filter(({ message }) => message.includes("and an error"));
      expect(surplus).to.have.length(2);
      expect(pool.pids).to.have.members(before);
    });

    it("tells the error of a worker that leaves right after it", async () => {
      const error = await pool.failure("error-then-exit goodbye");
      expect([error.reason, error.message]).to.deep.equal(["WORKER_ERROR", "goodbye"]);
    });

    it("kills a worker that does not end, with its children", async function () {
      needsPhp(this, "pcntl");
      const ending = await startPoolOn(kind, { script: "ignores-stop.php", stopGraceMs: 100 });
      const { body: child, pid } = await ending.call("spawn");
      await ending.pool.stop(Deadline.after(1_000));
      expect(isAlive(pid)).to.equal(false);
      await eventually("the child of the worker was gone", () => !isAlive(Number(child)));
    });
  });
