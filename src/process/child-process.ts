import { type ChildProcess as NodeChildProcess, spawn } from "node:child_process";
import { tmpdir } from "node:os";
import type { Readable, Writable } from "node:stream";
import { RrError } from "../errors.ts";
import { type Identity, resolveIdentity } from "./identity.ts";
import { OutputReader } from "./output-reader.ts";
import {
  type ChildPipe,
  type ChildPipes,
  closeChildEnds,
  closeParentEnds,
  openPipes,
  type PipeDirection,
  type PipePlace,
} from "./pipes.ts";
import { spawnProblem } from "./spawn-problem.ts";

/** The only file that starts processes for good (short helpers aside): workers, frontends, hooks. */
export interface ChildProcessOptions {
  command: readonly string[];
  workingDirectory: string;
  /** The whole environment. */
  env: Record<string, string | undefined>;
  user?: string | undefined;
  group?: string | undefined;
  /** Section of the configuration that names the user; "server" unless told otherwise. */
  userSection?: Identity["key"];
  /** Where named pipes are made; by default among the system's temporary files. */
  pipePlace?: PipePlace | undefined;
  /**
   * "channel": stdin and stdout carry a protocol. "log": stdout is text, stdin is empty. "inherit": output goes where
   * the output of this process goes, unseen.
   */
  stdio: "channel" | "log" | "inherit";
  /** Further file descriptors, given to the child as 3, 4, ... */
  inheritFds?: readonly number[];
  /** Adds Node's message channel: the child notices when its parent is gone. */
  messageChannel?: boolean;
  /** Lines of output; not for "inherit". */
  onLine?: (line: string, stream: "stdout" | "stderr") => void;
}

export interface ExitStatus {
  /** Null if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const LAST_LINES_KEPT = 20;

type Stdio = ChildProcessOptions["stdio"];

/** Pipes by use, in the order stdin, stdout, stderr; stdin is left out where it is empty. */
const PIPES_OF: Record<Stdio, readonly PipeDirection[]> = {
  channel: ["toChild", "fromChild", "fromChild"],
  log: ["fromChild", "fromChild"],
  inherit: [],
};

/** Where there are no pipes of our own. */
const STDIO_OF: Record<Stdio, readonly ("pipe" | "ignore" | "inherit")[]> = {
  channel: ["pipe", "pipe", "pipe"],
  log: ["ignore", "pipe", "pipe"],
  inherit: ["ignore", "inherit", "inherit"],
};

function pipesAsStdio(stdio: Stdio, pipes: readonly ChildPipe[]): (number | "ignore")[] {
  const fds = pipes.map(({ childFd }) => childFd);
  return stdio === "channel" ? fds : ["ignore", ...fds];
}

function parentEnds(
  stdio: Stdio,
  child: NodeChildProcess,
  pipes: readonly ChildPipe[],
): [Writable | null, Readable | null, Readable | null] {
  if (pipes.length === 0) return [child.stdin, child.stdout, child.stderr];
  const ends = pipes.map(({ parentEnd }) => parentEnd);
  return stdio === "channel" ? [ends[0]!, ends[1]!, ends[2]!] : [null, ends[0]!, ends[1]!];
}

/**
 * Groups by pid, with how to clean up after them. They must not outlive this process, however it ends: a worker in the
 * middle of a call would not notice.
 */
const liveGroups = new Map<number, () => void>();

function keepUntilExit(child: NodeChildProcess, cleanUp: () => void): void {
  if (liveGroups.size === 0) process.on("exit", killLiveGroups);
  liveGroups.set(child.pid!, cleanUp);
  child.once("exit", () => {
    cleanUp();
    liveGroups.delete(child.pid!);
    if (liveGroups.size === 0) process.off("exit", killLiveGroups);
  });
}

function killLiveGroups(): void {
  for (const [pid, cleanUp] of liveGroups) {
    signalGroup(pid, "SIGKILL");
    cleanUp();
  }
}

/** A group that is gone already is no error. */
function signalGroup(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(process.platform === "win32" ? pid : -pid, signal);
  } catch {
    // The group is gone.
  }
}

/** A process and its group. */
export class ChildProcess {
  readonly pid: number;
  /** Settles when the process is gone and its last output was read. Never rejects. */
  readonly exited: Promise<ExitStatus>;
  readonly #child: NodeChildProcess;
  readonly #stdin: Writable | null;
  readonly #stdout: Readable | null;
  readonly #lastLines: string[];
  #exitStatus: ExitStatus | undefined;

  private constructor(
    child: NodeChildProcess,
    stdin: Writable | null,
    stdout: Readable | null,
    outputs: OutputReader[],
    lastLines: string[],
  ) {
    this.pid = child.pid!;
    this.#stdin = stdin;
    this.#stdout = stdout;
    this.#child = child;
    this.#lastLines = lastLines;
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        const status = { code, signal };
        // Nothing tells the writing end of a pipe that nobody reads any more until somebody writes.
        stdin?.destroy();
        void Promise.all(outputs.map((output) => output.readToEnd())).then(() => {
          this.#exitStatus = status;
          resolve(status);
        });
      });
    });
  }

  /**
   * Starts a process in a group of its own. Rejects with BOOT_FAILED if it cannot be started, whatever the reason, or with
   * CONFIG_INVALID if it never could be; nothing is left of the attempt then.
   */
  static async start(options: ChildProcessOptions): Promise<ChildProcess> {
    if (options.command.length === 0) throw new RrError("CONFIG_INVALID", "the command is empty: set server.command");
    let opened: ChildPipes | undefined;
    try {
      const identity = resolveIdentity(options.user, options.group, options.userSection);
      opened = await openPipes(PIPES_OF[options.stdio], identity, options.pipePlace ?? TEMPORARY);
      const child = await spawned(options, opened.pipes, identity);
      const { pipes, remove } = opened;
      opened = undefined;
      closeChildEnds(pipes);
      return ChildProcess.#watched(options, child, { pipes, remove });
    } catch (thrown) {
      if (opened) abandon(opened);
      throw spawnProblem(options, thrown);
    }
  }

  static #watched(options: ChildProcessOptions, child: NodeChildProcess, { pipes, remove }: ChildPipes): ChildProcess {
    const [stdin, stdout, stderr] = parentEnds(options.stdio, child, pipes);
    const lastLines: string[] = [];
    const outputs: OutputReader[] = [];
    const readLines = (output: Readable, stream: "stdout" | "stderr") => {
      const onLine = (line: string) => {
        if (lastLines.push(line) > LAST_LINES_KEPT) lastLines.shift();
        options.onLine?.(line, stream);
      };
      outputs.push(new OutputReader(output, onLine));
    };
    if (stderr) readLines(stderr, "stderr");
    if (options.stdio === "log" && stdout) readLines(stdout, "stdout");
    keepUntilExit(child, remove);
    // A later failure to send a signal or message is not worth a crash.
    child.on("error", () => {});
    return new ChildProcess(child, stdin, stdout, outputs, lastLines);
  }

  get stdin(): Writable {
    return this.#stdin!;
  }

  get stdout(): Readable {
    return this.#stdout!;
  }

  /** Set once `exited` has settled. */
  get exitStatus(): ExitStatus | undefined {
    return this.#exitStatus;
  }

  /** The last lines that it printed, joined. */
  get lastOutput(): string {
    return this.#lastLines.join("\n");
  }

  /** Sends a message over the message channel. */
  send(message: object): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#child.on("message", listener);
  }

  /** Signals the whole group; a process that is gone already is no error. */
  signal(signal: "SIGTERM" | "SIGKILL"): void {
    signalGroup(this.pid, signal);
  }
}

/** Settles when the process runs. Rejects with the system's error, also where Node throws it at once. */
function spawned(
  options: ChildProcessOptions,
  pipes: readonly ChildPipe[],
  identity: { uid?: number; gid?: number },
): Promise<NodeChildProcess> {
  const [file, ...args] = options.command;
  return new Promise((resolve, reject) => {
    const child = spawn(file!, args, {
      cwd: options.workingDirectory,
      env: options.env as NodeJS.ProcessEnv,
      stdio: [
        ...(pipes.length > 0 ? pipesAsStdio(options.stdio, pipes) : STDIO_OF[options.stdio]),
        ...(options.messageChannel ? (["ipc"] as const) : []),
        ...(options.inheritFds ?? []),
      ],
      detached: process.platform !== "win32",
      windowsHide: true,
      ...identity,
    });
    child.once("spawn", () => resolve(child));
    child.once("error", (error) => {
      // Socket pairs that Node made before the attempt failed.
      for (const stream of child.stdio ?? []) stream?.destroy();
      reject(error);
    });
  });
}

function abandon({ pipes, remove }: ChildPipes): void {
  closeParentEnds(pipes);
  closeChildEnds(pipes);
  remove();
}

/** Where processes are started without a server around them. */
const TEMPORARY: PipePlace = { path: tmpdir(), restore: () => {} };
