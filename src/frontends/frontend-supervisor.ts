import type { EndPlan } from "../async/end-plan.ts";
import { RrError } from "../errors.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import type { Address } from "../net/address.ts";
import { ChildProcess } from "../process/child-process.ts";
import { readMemoryBytes } from "../process/resources.ts";
import type { ListeningSocket } from "./listening-socket.ts";

/** What a frontend is told at its start, over the message channel. */
export interface FrontendAssignment {
  readonly type: "assignment";
  /** Addresses of the cores: of one its private socket, or of any number elsewhere. */
  readonly cores: readonly string[];
  /** CoreCredentials as a JSON value: what the frontend shows to cores elsewhere. */
  readonly credentials?: unknown;
  /** LogOptions as a JSON value. */
  readonly logs: unknown;
  /** What to serve. */
  readonly servers: readonly ServerAssignment[];
}

export type ServerKind = "http" | "https" | "fastcgi" | "fileserver" | "status";

export interface ServerAssignment {
  readonly kind: ServerKind;
  /** HttpOptions or FileServerOptions as a JSON value. */
  readonly options: unknown;
  /** Descriptor of the listening socket; undefined: the frontend opens the address itself. */
  readonly listenFd: number | undefined;
  readonly address: Address;
}

export interface FrontendMessages {
  /** To the frontend: fail checks of readiness from now on. */
  readonly drain: { readonly type: "drain" };
  /** To the frontend: open the files of the log anew. */
  readonly reopenLogs: { readonly type: "reopen_logs" };
  /** To the frontend: stop taking connections, finish what runs within the time, exit. */
  readonly close: { readonly type: "close"; readonly timeoutMs: number };
  /** From the frontend: it takes connections. */
  readonly listening: { readonly type: "listening" };
}

const START_TIMEOUT_MS = 15_000;
const RESTART_DELAY_MS_MAX = 5_000;
const STABLE_AFTER_MS = 10_000;
/** Inherited sockets come after stdin, stdout, stderr and the message channel. */
const FIRST_INHERITED_FD = 4;

interface Place {
  process: ChildProcess | undefined;
  startedAtMs: number;
  restarts: number;
  failuresInARow: number;
}

export interface FrontendSupervisorOptions {
  readonly count: number;
  /** Script of the frontend process and the arguments of Node for it. */
  readonly nodeArguments: readonly string[];
  readonly servers: readonly (Pick<ServerAssignment, "kind" | "options"> & { readonly socket: ListeningSocket })[];
  readonly assignment: Omit<FrontendAssignment, "type" | "servers">;
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly events: EventLog;
}

/** Keeps the frontend processes running. */
export class FrontendSupervisor {
  readonly #options: FrontendSupervisorOptions;
  readonly #places: Place[];
  #stopping = false;

  constructor(options: FrontendSupervisorOptions) {
    this.#options = options;
    this.#places = Array.from({ length: options.count }, () => ({
      process: undefined,
      startedAtMs: 0,
      restarts: 0,
      failuresInARow: 0,
    }));
  }

  get frontends(): { pid: number; startedAtMs: number; restarts: number }[] {
    return this.#places.flatMap(({ process, startedAtMs, restarts }) =>
      process ? [{ pid: process.pid, startedAtMs, restarts }] : [],
    );
  }

  memoryBytes(): number {
    return this.frontends.reduce((sum, { pid }) => sum + readMemoryBytes(pid), 0);
  }

  /** Starts all; settles when all take connections. Rejects if one ends before that. */
  async start(): Promise<void> {
    await Promise.all(this.#places.map((place) => this.#start(place)));
  }

  /** Checks of readiness fail from now on, so that load balancers turn away. */
  drain(): void {
    for (const { process } of this.#places) process?.send({ type: "drain" });
  }

  /** All open the files of the log anew. */
  reopenLogs(): void {
    for (const { process } of this.#places) process?.send({ type: "reopen_logs" });
  }

  /** Lets all finish what runs; kills those that are not gone in time. */
  async stop({ close, gone }: EndPlan): Promise<void> {
    this.#stopping = true;
    await Promise.all(
      this.#places.map(async ({ process }) => {
        if (!process) return;
        process.send({ type: "close", timeoutMs: close.remainingMs });
        if (!(await gone.race(process.exited))) process.signal("SIGKILL");
        await process.exited;
      }),
    );
  }

  async #start(place: Place): Promise<void> {
    const { servers, assignment, nodeArguments, baseEnv, log, events } = this.#options;
    const inheritFds = servers.flatMap(({ socket }) => socket.fd ?? []);
    const child = await ChildProcess.start({
      command: [process.execPath, ...nodeArguments],
      workingDirectory: process.cwd(),
      env: { ...baseEnv },
      // Frontends log in the configured form themselves.
      stdio: "inherit",
      messageChannel: true,
      inheritFds,
    });
    place.process = child;
    place.startedAtMs = Date.now();
    const listening = new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), START_TIMEOUT_MS);
      child.onMessage((message) => {
        if ((message as { type?: string }).type !== "listening") return;
        clearTimeout(timer);
        resolve(true);
      });
      void child.exited.then(() => {
        clearTimeout(timer);
        resolve(false);
      });
    });
    child.send({
      type: "assignment",
      ...assignment,
      servers: servers.map(({ kind, options, socket: { fd, address } }) => {
        const listenFd = fd === undefined ? undefined : FIRST_INHERITED_FD + inheritFds.indexOf(fd);
        return { kind, options, listenFd, address };
      }),
    } satisfies FrontendAssignment as never);
    void child.exited.then(() => this.#exited(place, child));
    if (!(await listening)) {
      child.signal("SIGKILL");
      await child.exited;
      throw new RrError("FAILED_PRECONDITION", "the HTTP frontend did not start: its reason is printed above");
    }
    log.debug({ pid: child.pid }, `HTTP frontend ${child.pid} takes connections`);
    events.record("frontend.started", { pid: child.pid, message: `HTTP frontend ${child.pid} takes connections` });
  }

  #exited(place: Place, child: ChildProcess): void {
    place.process = undefined;
    if (this.#stopping) return;
    const { log, events } = this.#options;
    const exit = child.exitStatus;
    place.restarts++;
    place.failuresInARow = Date.now() - place.startedAtMs < STABLE_AFTER_MS ? place.failuresInARow + 1 : 1;
    const delayMs = place.failuresInARow === 1 ? 0 : Math.min(100 * 2 ** place.failuresInARow, RESTART_DELAY_MS_MAX);
    const message = `HTTP frontend ${child.pid} ended by itself and is started again`;
    log.error({ pid: child.pid, exit_code: exit?.code ?? undefined, signal: exit?.signal ?? undefined }, message);
    events.record("frontend.exited", {
      pid: child.pid,
      reason: "FRONTEND_EXITED",
      message,
      attributes: { exit_code: exit?.code ?? undefined, signal: exit?.signal ?? undefined },
    });
    setTimeout(() => {
      if (!this.#stopping) this.#start(place).catch((error: Error) => log.error({}, error.message));
    }, delayMs);
  }
}
