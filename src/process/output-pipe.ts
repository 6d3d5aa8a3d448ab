import { execFile } from "node:child_process";
import { closeSync, constants, openSync, unlinkSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/**
 * A real pipe for the output of a child. What Node offers are socket pairs, and opening /dev/stderr by its path, as
 * many PHP applications in containers do for their log, fails on a socket (ENXIO). A pipe has no such trouble.
 */
export interface OutputPipe {
  /** For the child's `stdio`. Close it by `childHasIt` once the child was started. */
  readonly childFd: number;
  readonly readable: Socket;
  childHasIt(): void;
}

let sequence = 0;

/**
 * Undefined where the system has no named pipes; the caller then falls back to what Node offers. Node cannot make a
 * pipe itself, so a named one is made, opened at both ends and unlinked at once.
 */
export async function openOutputPipe(): Promise<OutputPipe | undefined> {
  if (process.platform === "win32") return undefined;
  const path = join(tmpdir(), `rr-${process.pid}-${Date.now().toString(36)}-${sequence++}.pipe`);
  let readFd: number | undefined;
  try {
    await promisify(execFile)("mkfifo", ["-m", "600", path]);
    // The reading end first and without blocking; then the writing end opens at once.
    readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const childFd = openSync(path, constants.O_WRONLY);
    const readable = new Socket({ fd: readFd, readable: true, writable: false });
    return { childFd, readable, childHasIt: () => closeSync(childFd) };
  } catch {
    if (readFd !== undefined) closeSync(readFd);
    return undefined;
  } finally {
    try {
      unlinkSync(path);
    } catch {
      // It was never made.
    }
  }
}
