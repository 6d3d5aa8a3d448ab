import { spawn } from "node:child_process";
import { chmodSync, chownSync, closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { systemErrorCode } from "../errors.ts";
import { isShortage } from "./spawn-problem.ts";

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

/** Where the names of pipes are, for as long as their processes live. */
export interface PipePlace {
  readonly path: string;
  /** Makes it again: programs that tidy up temporary files may have removed it. */
  restore(): void;
}

const NO_PIPES: ChildPipes = { pipes: [], remove: () => {} };

/**
 * One pipe for each direction asked for; none where the system has no named pipes, and the caller falls back to what
 * Node offers. Node cannot make a pipe itself, so named ones are made and opened at both ends. Their names stay until
 * the child has ended: PHP follows /dev/stderr to the name of the file behind it and opens that. `owner` is who the
 * child runs as, if not the user of this process.
 *
 * @throws the system's error if it has too little of something: socket pairs would not be what the child expects, and fail as well
 */
export async function openPipes(
  directions: readonly PipeDirection[],
  owner: { uid?: number; gid?: number },
  place: PipePlace,
): Promise<ChildPipes> {
  if (process.platform === "win32" || directions.length === 0) return NO_PIPES;
  let directory: string | undefined;
  const pipes: ChildPipe[] = [];
  const remove = () => {
    if (directory) rmSync(directory, { recursive: true, force: true });
  };
  try {
    directory = makeFolder(place);
    const paths = directions.map((_, at) => join(directory!, String(at)));
    await makeNamedPipes(paths);
    for (const [at, direction] of directions.entries()) pipes.push(openBothEnds(paths[at]!, direction));
    const { uid = -1, gid = -1 } = owner;
    if (uid !== -1 || gid !== -1) {
      for (const path of paths) chownSync(path, uid, gid);
      // The child may pass through the folder. It stays ours: nobody else can put anything in there.
      chmodSync(directory, 0o711);
    }
    return { pipes, remove };
  } catch (thrown) {
    closeParentEnds(pipes);
    closeChildEnds(pipes);
    remove();
    if (isShortage(thrown)) throw thrown;
    return NO_PIPES;
  }
}

function makeFolder(place: PipePlace): string {
  const make = () => mkdtempSync(join(place.path, "rr-pipe-"));
  try {
    return make();
  } catch (thrown) {
    if (systemErrorCode(thrown) !== "ENOENT") throw thrown;
    place.restore();
    return make();
  }
}

/** Rejects with the system's error, or if the file system has no such thing. */
function makeNamedPipes(paths: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    // Without streams: Node forgets to close those that it made if the process cannot be started for want of descriptors.
    const child = spawn("mkfifo", ["-m", "600", ...paths], { stdio: "ignore" });
    child.once("error", reject);
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`mkfifo ended with ${code}`))));
  });
}

/** For a child that was never started. */
export function closeParentEnds(pipes: readonly ChildPipe[]): void {
  for (const { parentEnd } of pipes) parentEnd.destroy();
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
    // The child's end blocks, as PHP expects.
    const childFd = openSync(path, toChild ? constants.O_RDONLY : constants.O_WRONLY);
    try {
      return { childFd, parentEnd: openParentEnd(path, toChild) };
    } catch (thrown) {
      closeSync(childFd);
      throw thrown;
    }
  } finally {
    closeSync(both);
  }
}

function openParentEnd(path: string, toChild: boolean): Socket {
  const fd = openSync(path, (toChild ? constants.O_WRONLY : constants.O_RDONLY) | constants.O_NONBLOCK);
  try {
    return new Socket({ fd, readable: !toChild, writable: toChild });
  } catch (thrown) {
    closeSync(fd);
    throw thrown;
  }
}
