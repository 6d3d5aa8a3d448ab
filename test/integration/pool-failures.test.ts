import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { expect } from "chai";
import { Deadline } from "../../src/async/deadline.ts";
import type { RrError } from "../../src/errors.ts";
import { eventually, within } from "../support/eventually.ts";
import { needsPhp, PHP_FIXTURES } from "../support/php.ts";
import { freePort, type PoolOverrides } from "../support/pool-options.ts";
import { isAlive, preparePool, startPool, startPoolOn, stopPools } from "../support/test-pool.ts";

async function bootError(overrides: PoolOverrides): Promise<RrError> {
  const pool = preparePool(overrides);
  return pool.pool.start().then(
    () => {
      throw new Error("the pool was expected not to start");
    },
    (error: RrError) => error,
  );
}

describe("Failures of a pool", () => {
  before(function () {
    needsPhp(this, "posix");
  });
  afterEach(stopPools);

  describe("at boot", () => {
    /** Script or command, reason, what the explanation must hold. */
    const table: [string, PoolOverrides, string, RegExp[]][] = [
      ["a script that is not there", { script: "missing.php" }, "BOOT_FAILED", [/missing\.php does not exist/]],
      [
        "a parse error",
        { script: "parse-error.php" },
        "BOOT_FAILED",
        [/PHP cannot parse the code/, /parse-error\.php/],
      ],
      ["a missing autoloader", { script: "no-autoload.php" }, "BOOT_FAILED", [/composer install/, /vendor\/autoload/]],
      ["an exception", { script: "throws-at-boot.php" }, "BOOT_FAILED", [/no database today/, /exit code 255/]],
      ["a script that just ends", { script: "exits-at-once.php" }, "BOOT_FAILED", [/worker loop/, /all done/]],
      [
        "a command that is not there",
        { command: ["no-such-php", "x.php"] },
        "BOOT_FAILED",
        [/"no-such-php" was not found/],
      ],
      [
        "a command that may not run",
        { command: [`${PHP_FIXTURES}worker.php`] },
        "BOOT_FAILED",
        [/may not be executed/],
      ],
      [
        "a worker that is never ready",
        { script: "never-ready.php", bootTimeoutMs: 300 },
        "BOOT_TIMEOUT",
        [/within 0\.3 s/],
      ],
      [
        "a boot that takes too long",
        { script: "slow-boot.php", bootTimeoutMs: 200 },
        "BOOT_TIMEOUT",
        [/allocate_timeout/],
      ],
    ];
    for (const [what, overrides, reason, patterns] of table)
      it(`explains ${what}`, async () => {
        const error = await bootError(overrides);
        expect(error.reason).to.equal(reason);
        for (const pattern of patterns) expect(error.message).to.match(pattern);
        expect(error.message).to.contain((overrides.script ?? overrides.command![0]!).split(" ")[0]);
        expect(error.message).to.contain(PHP_FIXTURES.slice(0, -1));
      });

    it("waits for one that boots slowly", async () => {
      const pool = await startPool({ script: "slow-boot.php" });
      expect(pool.pool.workers[0]!.bootTimeMs).to.be.greaterThan(450);
      expect((await pool.call("echo at last")).body).to.equal("at last");
    });

    it("survives text before the first frame, and logs it", async () => {
      const pool = await startPool({ script: "prints-at-boot.php" });
      expect((await pool.call("echo on")).body).to.equal("on");
      expect(pool.line("Welcome to the application")).to.not.equal(undefined);
    });

    it("explains a worker that never connects to its socket", async () => {
      const relay = { kind: "tcp", host: "127.0.0.1", port: await freePort() } as const;
      const error = await bootError({ relay, script: "never-ready.php", bootTimeoutMs: 300 });
      expect(error.reason).to.equal("BOOT_TIMEOUT");
      expect(error.message).to.contain("does not connect to the relay tcp");
    });

    it("leaves nothing running when one of many fails", async () => {
      const first = await startPool();
      const file = first.file();
      rmSync(file);
      const error = await bootError({ script: `boots-while.php ${file}`, numWorkers: 4 });
      expect(error.reason).to.equal("BOOT_FAILED");
    });
  });

  describe("crash loop", () => {
    it("backs off, fails calls fast, and recovers by itself", async () => {
      const first = await startPool();
      const file = first.file();
      const pool = await startPool({ script: `boots-while.php ${file}`, numWorkers: 2 });
      await Promise.all([pool.call("pid"), pool.call("pid")]);
      rmSync(file);
      for (const pid of pool.pids) process.kill(pid, "SIGKILL");
      await pool.event("pool.failing");
      expect(pool.pool.state).to.equal("failing");
      expect(pool.pool.stateReason).to.contain("the file is not there");
      const error = await pool.failure("echo");
      expect(error.reason).to.equal("CRASH_LOOP");
      expect(error.message).to.contain("the file is not there");
      writeFileSync(file, "");
      await pool.event("pool.recovered");
      await pool.whole(2);
      expect((await pool.call("echo on")).body).to.equal("on");
      const failures = pool.eventsOf("worker.boot_failed").length;
      expect(failures, "with pauses between them").to.be.within(2, 8);
    });

    it("is recognised in workers that die without a call", async () => {
      const pool = await startPool({ script: "dies-idle.php" });
      const failing = await pool.event("pool.failing");
      expect(failing.reason).to.equal("CRASH_LOOP");
      const [first, ...others] = pool.eventsOf("worker.exited");
      expect(first?.attributes.exit_code).to.equal("7");
      const pauseMs = others[0]!.timeMs - first!.timeMs;
      expect(pauseMs).to.be.greaterThan(100);
    });

    it("is not seen in workers that die of their first call: other calls are served", async () => {
      const pool = await startPool();
      for (let round = 0; round < 4; round++) {
        const [crash, other] = [pool.failure("exit-255"), pool.call("echo served")];
        expect((await crash).reason).to.equal("WORKER_EXITED");
        expect((await other).body).to.equal("served");
        process.kill((await pool.call("pid")).pid, "SIGKILL");
        await eventually("another took its place", () => pool.readyPids.length === 1);
      }
      expect(pool.eventsOf("pool.failing")).to.have.length(0);
    });

    it("fails calls that wait, when it begins", async () => {
      const first = await startPool();
      const file = first.file();
      const pool = await startPool({ script: `boots-while.php ${file}` });
      const held = await pool.hold();
      const waiting = pool.open("echo");
      rmSync(file);
      process.kill(held.pid, "SIGKILL");
      const error = await waiting.reply.then(
        () => undefined,
        (thrown: RrError) => thrown,
      );
      expect(error?.reason).to.equal("CRASH_LOOP");
    });
  });

  describe("in a call", () => {
    it("names how a worker ended", async () => {
      const pool = await startPool();
      for (const [act, expected] of [
        ["exit-0", { exit_code: "0" }],
        ["exit-255", { exit_code: "255" }],
        ["throw", { exit_code: "255" }],
        ["sigkill", { signal: "SIGKILL" }],
        ["sigsegv", { signal: "SIGSEGV" }],
      ] as const) {
        const error = await pool.failure(act, { requestId: `id-${act}` });
        expect([act, error.reason]).to.deep.equal([act, "WORKER_EXITED"]);
        expect(error.metadata).to.include({ pool: "test", ...expected });
        const event = await pool.event("worker.exited", ({ pid }) => String(pid) === error.metadata.pid);
        expect(event.attributes).to.include(expected);
        await pool.whole();
      }
      expect(pool.pool.figures.failures.get("WORKER_EXITED")).to.equal(5);
      expect(pool.pool.figures.workersEnded.get("WORKER_EXITED")).to.equal(5);
    });

    it("quotes the exception that nobody caught, with the id of the request", async () => {
      const pool = await startPool();
      const error = await pool.failure("throw", { requestId: "request-1" });
      expect(error.message).to.contain("nobody catches this");
      const line = await eventually("the trace was logged", () => pool.line("nobody catches this"));
      expect(line.fields).to.include({ request_id: "request-1", pool: "test" });
    });

    it("gives up after too much text that is no frame", async () => {
      const pool = await startPool();
      const error = await pool.failure("garbage");
      expect(error.reason).to.equal("PROTOCOL_VIOLATION");
      expect(error.message).to.contain("This is no frame.");
      expect(error.message.length).to.be.lessThan(5_000);
      const killed = await pool.event("worker.killed");
      expect(killed.reason).to.equal("PROTOCOL_VIOLATION");
    });

    it("does not wait for a worker that closed its channel", async () => {
      const pool = await startPool();
      const error = await pool.failure("close-channel");
      expect(error.reason).to.equal("PROTOCOL_VIOLATION");
      await pool.whole();
    });

    it("drops an error on top of an answer, and keeps the worker", async () => {
      const pool = await startPool();
      const before = pool.pids;
      expect((await pool.call("answer-then-error")).body).to.equal("first");
      const event = await pool.event("worker.surplus_answer");
      expect(event.message).to.contain("and an error");
      for (let round = 0; round < 5; round++) expect((await pool.call(`echo ${round}`)).body).to.equal(String(round));
      expect(pool.pids).to.deep.equal(before);
    });

    it("fails a stream whose worker dies, after what came", async () => {
      const pool = await startPool();
      const { parts, reply } = pool.open("stream-die", { idempotent: true });
      const error = await reply.then(
        () => undefined,
        (thrown: RrError) => thrown,
      );
      expect(parts).to.deep.equal(["piece 1;"]);
      expect(error?.reason).to.equal("WORKER_EXITED");
      expect(error?.metadata.exit_code).to.equal("3");
      expect(pool.eventsOf("call.retried"), "a begun answer is never retried").to.have.length(0);
    });

    it("does not wait for a caller who does not read what a dead worker left", async () => {
      const pool = await startPool();
      const { parts, reply } = pool.open("large 3000", { partsBeforePause: 1 });
      await eventually("the answer began", () => parts.length > 0);
      const [pid] = pool.pids;
      process.kill(pid!, "SIGKILL");
      await eventually("the process was gone", () => !isAlive(pid!));
      await within(2_000, "the pool ended", pool.pool.stop(Deadline.after(100)));
      const error = await reply.then(
        () => undefined,
        (thrown: RrError) => thrown,
      );
      expect(error?.reason).to.equal("DRAINING");
    });

    it("lets a worker finish a call whose caller left before the answer, however long that takes", async () => {
      const pool = await startPool({ streamTimeoutMs: 100 });
      const { call } = pool.open("sleep 500");
      await eventually("it ran", () => pool.pool.workers[0]!.state === "working");
      call.cancel();
      await eventually("the worker was done", () => pool.pool.workers[0]?.state === "ready");
      expect(pool.eventsOf("worker.killed")).to.deep.equal([]);
      expect(pool.pool.workers[0]!.executions).to.equal(1);
    });

    it("kills a worker that does not end its stream", async () => {
      const pool = await startPool({ streamTimeoutMs: 200 });
      const { call, parts } = pool.open("stream-deaf");
      await eventually("the stream flowed", () => parts.length > 5);
      call.cancel();
      const killed = await pool.event("worker.killed");
      expect(killed.message).to.contain("200 ms");
      await pool.whole();
    });
  });

  describe("retry", () => {
    it("runs an idempotent call again when its worker dies", async () => {
      const pool = await startPool({ numWorkers: 2 });
      const { body, pid } = await pool.call(`die-once ${pool.file()}`, { idempotent: true, requestId: "again" });
      expect(body).to.equal(String(pid));
      const [event] = pool.eventsOf("call.retried");
      expect(event?.attributes).to.include({ request_id: "again" });
      expect(pool.pool.figures.retries).to.equal(1);
      expect(pool.pool.figures.failures.get("WORKER_EXITED")).to.equal(undefined);
    });

    it("waits for the successor when there is no other worker", async () => {
      const pool = await startPool();
      expect((await pool.call(`die-once ${pool.file()}`, { idempotent: true })).body).to.match(/^\d+$/);
    });

    it("tries once more, not for ever", async () => {
      const pool = await startPool({ numWorkers: 2 });
      const error = await pool.failure("sigkill", { idempotent: true });
      expect(error.reason).to.equal("WORKER_EXITED");
      expect(pool.eventsOf("call.retried")).to.have.length(1);
      await pool.whole();
    });

    it("leaves a call alone whose attempts were used up elsewhere", async () => {
      const pool = await startPool({ numWorkers: 2 });
      const error = await pool.failure(`die-once ${pool.file()}`, { idempotent: true, attemptsMax: 1 });
      expect(error.reason).to.equal("WORKER_EXITED");
      expect(pool.eventsOf("call.retried")).to.have.length(0);
    });

    it("leaves other calls alone", async () => {
      const pool = await startPool({ numWorkers: 2 });
      const error = await pool.failure(`die-once ${pool.file()}`);
      expect(error.reason).to.equal("WORKER_EXITED");
      expect(pool.eventsOf("call.retried")).to.have.length(0);
    });

    it("does not repeat what ended by the application's own fault", async () => {
      const pool = await startPool({ numWorkers: 2 });
      expect((await pool.failure("throw", { idempotent: true })).metadata.exit_code).to.equal("255");
      expect(pool.eventsOf("call.retried")).to.have.length(0);
    });

    it("ends a call that every worker hands back", async () => {
      const pool = await startPool({ numWorkers: 2 });
      const error = await pool.failure("stop-always");
      expect(error.reason).to.equal("WORKER_EXITED");
      expect(error.message).to.contain("asked to be replaced");
      await pool.whole();
    });
  });

  describe("of a connection to the relay", () => {
    it("harm nobody: a silent and a talking stranger", async () => {
      const pool = await startPoolOn("tcp");
      const { relay } = pool.pool.options;
      if (relay.kind !== "tcp") throw new Error("expected a tcp relay");
      const silent = connect(relay.port, relay.host);
      const talking = connect(relay.port, relay.host, () => talking.write("GET / HTTP/1.0\r\n\r\n"));
      await once(talking, "data");
      await pool.pool.addWorker();
      expect((await pool.call("echo on")).body).to.equal("on");
      silent.destroy();
      talking.destroy();
    });
  });
});
