import { expect } from "chai";
import { type BootFailure, explainBootFailure } from "../../../src/worker/boot-failure.ts";

const failure = (overrides: Partial<BootFailure>) =>
  explainBootFailure({
    pool: "http",
    command: ["php", "worker.php"],
    workingDirectory: "/app",
    exit: { code: 255, signal: null },
    bootTimeoutMs: 60_000,
    lastOutput: "",
    relay: "pipes",
    ...overrides,
  });

describe("explainBootFailure", () => {
  it("says what was run where, how it ended and what it said", () => {
    const { reason, message, metadata } = failure({ lastOutput: "line one\nline two" });
    expect(reason).to.equal("BOOT_FAILED");
    expect(message.split("\n")).to.deep.equal([
      'a worker of pool "http" ended with exit code 255 before it was ready',
      "  command:           php worker.php",
      "  working directory: /app",
      "  probable cause:    see its output",
      "  last output:",
      "    line one",
      "    line two",
    ]);
    expect(metadata).to.deep.equal({
      pool: "http",
      command: "php worker.php",
      working_directory: "/app",
      relay: "pipes",
      exit_code: "255",
    });
  });

  /** Output or ending, and the cause that it points to. */
  const causes: [string, Partial<BootFailure>, RegExp][] = [
    ["a missing script", { lastOutput: "Could not open input file: worker.php" }, /worker\.php does not exist/],
    [
      "missing packages",
      {
        lastOutput:
          "PHP Fatal error:  Uncaught Error: Failed opening required '/app/vendor/autoload.php' (include_path='.')",
      },
      /composer install/,
    ],
    [
      "a syntax error",
      { lastOutput: 'PHP Parse error: syntax error, unexpected token "}" in /app/a.php on line 3' },
      /cannot parse the code: syntax error/,
    ],
    [
      "a missing RoadRunner package",
      { lastOutput: 'Uncaught Error: Class "Spiral\\RoadRunner\\Worker" not found' },
      /composer require spiral\/roadrunner-http/,
    ],
    ["the memory limit", { lastOutput: "Allowed memory size of 2097152 bytes exhausted" }, /memory_limit of 2097152/],
    ["an exception", { lastOutput: "Uncaught RuntimeException: no licence" }, /RuntimeException: no licence/],
    ["a missing service", { lastOutput: "SQLSTATE[HY000] Connection refused" }, /database or service/],
    ["a script that ends", { exit: { code: 0, signal: null } }, /worker loop/],
    ["a shell that found nothing", { exit: { code: 127, signal: null } }, /not found/],
    ["a crash", { exit: { code: null, signal: "SIGSEGV" } }, /crashed/],
  ];
  for (const [what, overrides, cause] of causes)
    it(`points to ${what}`, () => {
      expect(/probable cause: +(.*)/.exec(failure(overrides).message)?.[1]).to.match(cause);
    });

  it("tells a timeout from an end", () => {
    const onPipes = failure({ exit: undefined, bootTimeoutMs: 2_500 });
    expect(onPipes.reason).to.equal("BOOT_TIMEOUT");
    expect(onPipes.message).to.contain("was not ready within 2.5 s").and.contain("allocate_timeout");
    const onSocket = failure({ exit: undefined, relay: "tcp" });
    expect(onSocket.message).to.contain("does not connect to the relay tcp");
  });
});
