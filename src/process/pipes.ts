import { execFile } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/**
 * Real pipes to and from a child. What Node offers are socket pairs: opening /dev/stderr by its path, as many PHP
 * applications in containers do for their log, fails on a socket (ENXIO), and a round trip over two pipes is about 15 %
 * faster than over a socket pair.
 */
export interface ChildPipe {
  /** For the child's `stdio`. */
  readonly childFd: number;
  readonly parentEnd: Socket;
}

export type PipeDirection = "toChild" | "fromChild";

/**
 * One pipe for each direction asked for; undefined where the system has no named pipes, and the caller falls back to
 * what Node offers. Node cannot make a pipe itself, so named ones are made, opened at both ends and removed at once.
 */
export async function openPipes(directions: readonly PipeDirection[]): Promise<ChildPipe[] | undefined> {
  if (process.platform === "win32" || directions.length === 0) return undefined;
  let directory: string | undefined;
  const pipes: ChildPipe[] = [];
  try {
    directory = mkdtempSync(join(tmpdir(), "rr-pipe-"));
    const paths = directions.map((_, at) => join(directory!, String(at)));
    await promisify(execFile)("mkfifo", ["-m", "600", ...paths]);
    for (const [at, direction] of directions.entries()) pipes.push(openBothEnds(paths[at]!, direction));
    return pipes;
  } catch {
    for (const pipe of pipes) {
      pipe.parentEnd.destroy();
      closeSync(pipe.childFd);
    }
    return undefined;
  } finally {
    if (directory) rmSync(directory, { recursive: true, force: true });
  }
}

/** The child has its own copies now: ours would keep the pipes from ever ending. */
export function closeChildEnds(pipes: readonly ChildPipe[]): void {
  for (const { childFd } of pipes) closeSync(childFd);
}

function openBothEnds(path: string, direction: PipeDirection): ChildPipe {
  // A named pipe opens only when its other end is open too, unless it is opened for both.
  const both = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    const toChild = direction === "toChild";
    const parentFd = openSync(path, (toChild ? constants.O_WRONLY : constants.O_RDONLY) | constants.O_NONBLOCK);
    // The child's end blocks, as PHP expects.
    const childFd = openSync(path, toChild ? constants.O_RDONLY : constants.O_WRONLY);
    return { childFd, parentEnd: new Socket({ fd: parentFd, readable: !toChild, writable: toChild }) };
  } finally {
    closeSync(both);
  }
}
