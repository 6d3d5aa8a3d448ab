import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { needsPhp } from "../support/php.ts";
import { startPool, stopPools, type TestPool } from "../support/test-pool.ts";

describe("What workers print", () => {
  before(function () {
    needsPhp(this, "posix");
  });
  afterEach(stopPools);

  function record(pool: TestPool, text: string) {
    return eventually(`"${text}" was logged`, () => pool.line(text));
  }

  it("is never the reason of another call's failure, however close the two are", async function () {
    this.timeout(20_000);
    const pool = await startPool();
    for (let round = 0; round < 10; round++) {
      // The second one waits for the worker of the first.
      const first = pool.open(`stderr Uncaught RuntimeException: the secret of ${round}\\n`, {
        requestId: `a${round}`,
      });
      const failure = pool.failure("stderr-exit ", { requestId: `b${round}` });
      expect((await first.reply).body).to.equal("printed");
      const error = await failure;
      expect(error.message).to.contain("ended with exit code 3");
      expect(JSON.stringify([error.message, error.metadata])).not.to.contain("secret");
      const line = await record(pool, `the secret of ${round}`);
      expect(line.fields.request_id).to.equal(`a${round}`);
      await pool.whole();
    }
  });

  it("is the reason when it was said in the call that failed", async () => {
    const pool = await startPool();
    expect((await pool.call("stderr an error of before\\n")).body).to.equal("printed");
    const error = await pool.failure("stderr-exit Uncaught RuntimeException: my own words\\n");
    expect(error.message).to.contain("my own words");
    expect(error.metadata.last_output).to.equal("Uncaught RuntimeException: my own words");
  });

  it("is no reason for a death between two calls", async () => {
    const pool = await startPool();
    await pool.call("stderr PHP Fatal error:  Allowed memory size of 1 bytes exhausted\\n");
    process.kill(pool.pids[0]!, "SIGKILL");
    expect((await pool.event("worker.exited")).reason).to.equal("WORKER_EXITED");
  });

  it("is one record, as bad as it is, for an exception that nobody catches", async () => {
    const pool = await startPool();
    await pool.failure("throw");
    const line = await record(pool, "Fatal error:  Uncaught DomainException: nobody catches this");
    expect(line.level).to.equal("error");
    expect(line.message)
      .to.contain("Stack trace:\n#0 ")
      .and.to.match(/thrown in .*throw\.php on line \d+$/);
    expect(
      pool.lines.filter(({ message }) => message.includes("{main}") && !message.includes("Uncaught")),
    ).to.deep.equal([]);
  });

  it("has the level that it says", async () => {
    const pool = await startPool();
    await pool.call("stderr PHP Warning:  it is odd in a.php on line 3\\nit is fine\\n[x] app.ERROR: it is bad\\n");
    const levels = ["it is odd", "it is fine", "it is bad"].map(async (text) => (await record(pool, text)).level);
    expect(await Promise.all(levels)).to.deep.equal(["warn", "info", "error"]);
  });

  it("is shown without a line end, too", async () => {
    const pool = await startPool();
    await pool.call("stderr no line ends here");
    await record(pool, "no line ends here");
    await pool.failure("stderr-exit nor at the end");
    expect(pool.line("nor at the end"), "known when the failure is").to.not.equal(undefined);
  });

  it("is written to the log by its beginning", async () => {
    const pool = await startPool();
    await pool.call(`stderr ${"x".repeat(100_000)}\\nthe next line\\n`);
    await record(pool, "the next line");
    const long = pool.line("xxxx")!;
    expect(long.message).to.match(/^x{16384}… \(83616 more characters\)$/);
  });

  it("counts failed boots apart from failed calls", async () => {
    const pool = await startPool({ script: "dies-idle.php" });
    await pool.event("pool.failing");
    expect(pool.pool.figures.failures.size).to.equal(0);
  });
});
