import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { needsPhp, PHP_FIXTURES } from "../support/php.ts";
import { type ServerConfig, ServerProcess, stopServers } from "../support/server-process.ts";

/** What keeps `rrctl serve` from serving: told at once, with the cause, and exit code 1. */
describe("rrctl serve that cannot", function () {
  this.timeout(20_000);
  before(function () {
    needsPhp(this);
  });
  afterEach(stopServers);

  async function refused(config: ServerConfig): Promise<{ code: number | null; text: string; tookMs: number }> {
    const startedMs = performance.now();
    const server = await ServerProcess.launch(config);
    const { code } = await server.ended();
    return { code, text: server.output.join("\n"), tookMs: performance.now() - startedMs };
  }

  const table: [string, ServerConfig, RegExp[]][] = [
    ["a command that is not there", { command: "no-such-command worker.php" }, [/"no-such-command" was not found/]],
    ["a command that may not run", { command: [`${PHP_FIXTURES}worker.php`] }, [/may not be executed/]],
    ["a script that is not there", { script: "missing.php" }, [/missing\.php does not exist/, /server\.command/]],
    ["a parse error", { script: "parse-error.php" }, [/PHP cannot parse the code/, /parse-error\.php on line 5/]],
    ["a missing autoloader", { script: "no-autoload.php" }, [/composer install/]],
    ["a script that is no worker", { script: "exits-at-once.php" }, [/worker loop/, /all done/]],
    [
      "a worker that is never ready",
      { script: "never-ready.php", pool: { allocate_timeout: "500ms" } },
      [/was not ready within 0\.5 s/],
    ],
  ];
  for (const [what, config, patterns] of table)
    it(`explains ${what}`, async () => {
      const { code, text, tookMs } = await refused(config);
      for (const pattern of patterns) expect(text).to.match(pattern);
      expect(code).to.equal(1);
      expect(tookMs).to.be.lessThan(10_000);
      expect(text, "no stack of ours").to.not.match(/^\s+at .*\.[jt]s:\d+/m);
    });

  it("names the address in use and who has it", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    try {
      const { code, text } = await refused({ http: { address: `127.0.0.1:${port}` } });
      expect(code).to.equal(1);
      expect(text).to.contain(`127.0.0.1:${port}`).and.contain("in use");
      if (process.platform === "linux") expect(text).to.contain(`by process ${process.pid}`);
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
  });

  it("names a control address in use", async () => {
    const first = await ServerProcess.start({ http: null, pools: { echo: { num_workers: 1 } } });
    const address = first.controlAddress.replace("tcp://", "");
    const second = await ServerProcess.launch({ http: null, pools: { echo: { num_workers: 1 } } }, [
      "-o",
      `control.listen=tcp://${address}`,
    ]);
    expect((await second.ended()).code).to.equal(1);
    const text = second.output.join("\n");
    expect(text).to.contain(address).and.contain("in use");
  });

  it("names a limit of file descriptors that is too low", async function () {
    if (process.platform !== "linux") return this.skip();
    for (const limit of [40, 64, 100]) {
      const through = ["sh", "-c", `ulimit -n ${limit}; exec "$@"`, "sh"];
      const server = await ServerProcess.launch({ pool: { num_workers: 8 } }, [], { through });
      expect((await server.ended()).code).to.equal(1);
      expect(server.output.join("\n"), String(limit)).to.contain("LimitNOFILE").and.contain("ulimit -n");
    }
  });

  it("names a folder of temporary files that is not there", async () => {
    const server = await ServerProcess.launch({}, [], { env: { TMPDIR: "/no/such/folder" } });
    expect((await server.ended()).code).to.be.oneOf([1, 2]);
    expect(server.output.join("\n")).to.contain("TMPDIR").and.contain("/no/such/folder");
  });

  it("names an environment that is too large for the system", async function () {
    if (process.platform !== "linux") return this.skip();
    const directory = mkdtempSync(join(tmpdir(), "rr-test-env-"));
    const file = join(directory, ".env");
    // One variable has 128 KB at most, all together a quarter of the stack.
    writeFileSync(file, `LARGE=${"x".repeat(200_000)}\n`);
    const server = await ServerProcess.launch({}, ["--dotenv", file]);
    expect((await server.ended()).code).to.equal(1);
    expect(server.output.join("\n")).to.match(/environment of \d+ variables .* the largest is LARGE with 200007 bytes/);
    rmSync(directory, { recursive: true });
  });
});
