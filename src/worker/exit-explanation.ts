import { type ErrorReason, RrError } from "../errors.ts";
import { beginningOf } from "../log/beginning.ts";
import type { ExitStatus } from "../process/child-process.ts";

/** "exit code 255", "signal SIGKILL". */
export function describeExit(exit: ExitStatus): string {
  return exit.signal ? `signal ${exit.signal}` : `exit code ${exit.code}`;
}

const OUT_OF_MEMORY = /Allowed memory size of \d+ bytes exhausted|Out of memory/i;

/** Of the line that is quoted as the cause. */
const CAUSE_BYTES_MAX = 1024;

export interface UnexpectedExit {
  pool: string;
  pid: number;
  exit: ExitStatus;
  /** What it printed since its call began. */
  lastOutput: string;
}

/** Why a worker that ran a call is gone, when the server did not end it. */
export function explainExit({ pool, pid, exit, lastOutput }: UnexpectedExit): RrError {
  const outOfMemory = OUT_OF_MEMORY.test(lastOutput);
  const reason: ErrorReason = outOfMemory ? "WORKER_OOM" : "WORKER_EXITED";
  const cause = outOfMemory
    ? "PHP reached its memory_limit"
    : (likelyCause(exit) ?? beginningOf(lastLine(lastOutput), CAUSE_BYTES_MAX));
  return new RrError(
    reason,
    `worker ${pid} of pool "${pool}" ended with ${describeExit(exit)} while it ran a call${cause ? `: ${cause}` : ""}`,
    {
      metadata: {
        pool,
        pid,
        exit_code: exit.code ?? undefined,
        signal: exit.signal ?? undefined,
        last_output: lastOutput.slice(-2048) || undefined,
      },
    },
  );
}

function likelyCause(exit: ExitStatus): string | undefined {
  if (exit.code === 0 || exit.code === 1) return "the application called exit() or die(), or left the worker loop";
  if (exit.signal === "SIGKILL") return "killed from outside; the kernel does so when memory runs out";
  if (exit.signal === "SIGSEGV" || exit.signal === "SIGBUS") return "PHP or an extension crashed";
  return undefined;
}

/** The last line that says something: PHP ends its traces with empty and closing lines. */
export function lastLine(output: string): string {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  return lines.findLast((line) => /error|exception|fatal/i.test(line)) ?? lines.at(-1) ?? "";
}
