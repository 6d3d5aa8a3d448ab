import { execFile } from "node:child_process";
import { chownSync, closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
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

export interface ChildPipes {
  /** In the order of the directions; none where the system has no named pipes. */
  readonly pipes: readonly ChildPipe[];
  /** Once the child has ended. */
  remove(): void;
}

const NO_PIPES: ChildPipes = { pipes: [], remove: () => {} };

/**
 * One pipe for each direction asked for; none where the system has no named pipes, and the caller falls back to what
 * Node offers. Node cannot make a pipe itself, so named ones are made and opened at both ends. Their names stay until
 * the child has ended: PHP follows /dev/stderr to the name of the file behind it and opens that. `owner` is who the
 * child runs as, if not the user of this process.
 */
export async function openPipes(
  directions: readonly PipeDirection[],
  owner: { uid?: number; gid?: number } = {},
): Promise<ChildPipes> {
  if (process.platform === "win32" || directions.length === 0) return NO_PIPES;
  let directory: string | undefined;
  const pipes: ChildPipe[] = [];
  const remove = () => {
    if (directory) rmSync(directory, { recursive: true, force: true });
  };
  try {
    directory = mkdtempSync(join(tmpdir(), "rr-pipe-"));
    const paths = directions.map((_, at) => join(directory!, String(at)));
    await promisify(execFile)("mkfifo", ["-m", "600", ...paths]);
    for (const [at, direction] of directions.entries()) pipes.push(openBothEnds(paths[at]!, direction));
    const { uid = -1, gid = -1 } = owner;
    for (const path of [directory, ...paths]) chownSync(path, uid, gid);
    return { pipes, remove };
  } catch {
    for (const pipe of pipes) {
      pipe.parentEnd.destroy();
      closeSync(pipe.childFd);
    }
    remove();
    return NO_PIPES;
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
