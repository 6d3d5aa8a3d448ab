import type { PoolOptions } from "../config/options.ts";
import type { WorkerProtocol } from "../goridge/worker-protocol.ts";
import type { Log } from "../log.ts";
import { childEnvironment, otherUser } from "../process/child-environment.ts";
import { ChildProcess, type ExitStatus } from "../process/child-process.ts";
import { socketRightsFor } from "../process/identity.ts";
import type { PipePlace } from "../process/pipes.ts";
import { peerProof } from "../relay/peer-process.ts";
import type { Relay } from "../relay/relay.ts";
import { SocketListener } from "../relay/socket-listener.ts";
import { StreamRelay } from "../relay/stream-relay.ts";

/** The process behind a worker, and the way to it. */
export interface WorkerProcess {
  readonly pid: number;
  /** Settles when it is gone and its last output was read. Never rejects. */
  readonly exited: Promise<ExitStatus>;
  /** What it printed last where that is text. */
  readonly lastOutput: string;
  /** Its channel, if it has one from the start. It may still boot: asked who it is, it answers when it is ready. */
  readonly pipes: Relay | undefined;
  /** Its channel otherwise: when it is ready, it connects and says who it is. */
  connected(): Promise<Relay>;
  /** Nobody waits for that any more. */
  forget(): void;
  /** Signals its whole group; one that is gone already is no error. */
  signal(signal: "SIGTERM" | "SIGKILL"): void;
}

/** Starts the processes of a pool. */
export interface WorkerProcesses {
  /** Rejects with BOOT_FAILED if the command cannot be run. */
  start(onLine: (line: string, stream: "stdout" | "stderr") => void): Promise<WorkerProcess>;
  close(): void;
}

export interface WorkerProcessesSettings {
  readonly options: PoolOptions;
  /** The environment that `options.env` is added to. */
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
  /** Where the names of pipes are made; by default among the system's temporary files. */
  readonly pipePlace?: PipePlace | undefined;
  readonly protocol: WorkerProtocol;
  readonly log: Log;
}

export type OpenWorkerProcesses = (settings: WorkerProcessesSettings) => Promise<WorkerProcesses>;

/** Children of this process, on pipes or on the socket of `options.relay`. */
export const openWorkerProcesses: OpenWorkerProcesses = async ({ options, baseEnv, pipePlace, protocol, log }) => {
  const listener =
    options.relay.kind === "pipes"
      ? undefined
      : await SocketListener.open(options.relay, socketRightsFor(options), protocol, log, peerProof);
  const env = childEnvironment(baseEnv, options.passedEnv, otherUser(options.user, "server"));
  return {
    start: async (onLine) => {
      const child = await ChildProcess.start({
        command: options.command,
        workingDirectory: options.workingDirectory,
        env: { ...env, ...options.env },
        user: options.user,
        group: options.group,
        pipePlace,
        stdio: listener ? "log" : "channel",
        onLine,
      });
      return new StartedProcess(child, listener);
    },
    close: () => listener?.close(),
  };
};

class StartedProcess implements WorkerProcess {
  readonly pid: number;
  readonly exited: Promise<ExitStatus>;
  readonly pipes: Relay | undefined;
  readonly #child: ChildProcess;
  readonly #listener: SocketListener | undefined;

  constructor(child: ChildProcess, listener: SocketListener | undefined) {
    this.pid = child.pid;
    this.exited = child.exited;
    this.#child = child;
    this.#listener = listener;
    this.pipes = listener ? undefined : new StreamRelay(child.stdout, child.stdin);
  }

  get lastOutput(): string {
    return this.#child.lastOutput;
  }

  connected(): Promise<Relay> {
    return this.#listener!.expect(this.pid);
  }

  forget(): void {
    this.#listener?.forget(this.pid);
  }

  signal(signal: "SIGTERM" | "SIGKILL"): void {
    this.#child.signal(signal);
  }
}
