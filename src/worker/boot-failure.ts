import { RrError } from "../errors.ts";
import { beginningOf } from "../log/beginning.ts";
import type { ExitStatus } from "../process/child-process.ts";
import { describeExit } from "./exit-explanation.ts";

/** Of each line of output that is quoted. */
const LINE_BYTES_MAX = 512;

export interface BootFailure {
  pool: string;
  command: readonly string[];
  workingDirectory: string;
  /** Undefined: it did not end but was not ready in time. */
  exit: ExitStatus | undefined;
  bootTimeoutMs: number;
  /** What it printed last on stderr, and on stdout where that is the channel of the protocol. */
  lastOutput: string;
  relay: string;
}

/** What the last words of a process mean, most specific first. */
const PROBABLE_CAUSES: readonly (readonly [RegExp, string])[] = [
  [/Could not open input file: (\S+)/, "the script $1 does not exist in the working directory: check server.command"],
  [
    /(?:Failed opening required|failed to open stream).*?([^\s'"(]*vendor\/autoload\.php)/,
    "Composer's packages are not installed: run `composer install`",
  ],
  [/Parse error: (.*)/, "PHP cannot parse the code: $1"],
  [
    /Class "?((?:Spiral|Nyholm|RoadRunner)\\[^"\s]+)"? not found/,
    "the class $1 is missing: run `composer require spiral/roadrunner-http nyholm/psr7`",
  ],
  [
    /Allowed memory size of (\d+) bytes exhausted/,
    "PHP reached its memory_limit of $1 bytes while the application booted",
  ],
  [/(?:Uncaught|Fatal error:) (.*)/, "the application failed while it booted: $1"],
  [
    /could not find driver|Connection refused/i,
    "the application could not reach a database or service while it booted",
  ],
];

/** Why a worker did not become ready: what was run where, how it ended, what it said, and what that probably means. */
export function explainBootFailure(failure: BootFailure): RrError {
  const { pool, command, workingDirectory, exit, bootTimeoutMs, lastOutput, relay } = failure;
  const ending = exit ? `ended with ${describeExit(exit)}` : `was not ready within ${bootTimeoutMs / 1000} s`;
  const lines = [
    `a worker of pool "${pool}" ${ending} before it was ready`,
    `  command:           ${command.join(" ")}`,
    `  working directory: ${workingDirectory}`,
    `  probable cause:    ${probableCause(failure)}`,
  ];
  if (lastOutput)
    lines.push("  last output:", ...lastOutput.split("\n").map((line) => `    ${beginningOf(line, LINE_BYTES_MAX)}`));
  return new RrError(exit ? "BOOT_FAILED" : "BOOT_TIMEOUT", lines.join("\n"), {
    metadata: {
      pool,
      command: command.join(" "),
      working_directory: workingDirectory,
      relay,
      exit_code: exit?.code ?? undefined,
      signal: exit?.signal ?? undefined,
    },
  });
}

function probableCause({ exit, lastOutput, relay }: BootFailure): string {
  for (const [pattern, meaning] of PROBABLE_CAUSES) {
    const match = pattern.exec(lastOutput);
    if (match) return meaning.replace("$1", match[1] ?? "");
  }
  if (!exit)
    return relay === "pipes"
      ? "the application boots slowly (raise pool.allocate_timeout) or never asks for a request"
      : `the application boots slowly (raise pool.allocate_timeout), or does not connect to the relay ${relay}; it must be started directly, not by a wrapper`;
  if (exit.signal) return "it crashed or was killed from outside";
  if (exit.code === 127) return "the command was not found";
  if (exit.code === 0) return "the script ended by itself: it must run a worker loop that waits for requests";
  return "see its output";
}
