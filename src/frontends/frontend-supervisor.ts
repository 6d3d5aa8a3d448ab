import type { EndPlan } from "../async/end-plan.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import { childEnvironment, otherUser } from "../process/child-environment.ts";
import { ChildProcess } from "../process/child-process.ts";
import { readMemoryBytes } from "../process/resources.ts";
import type { FrontendAssignment, ServerAssignment } from "./frontend-messages.ts";
import { FrontendPlace, type FrontendProcess } from "./frontend-place.ts";
import type { ListeningSocket } from "./listening-socket.ts";
import type { PlaceState } from "./place-state.ts";

/** Inherited sockets come after stdin, stdout, stderr and the message channel. */
const FIRST_INHERITED_FD = 4;

export interface FrontendSupervisorOptions {
  readonly count: number;
  /** Script of the frontend process and the arguments of Node for it. */
  readonly nodeArguments: readonly string[];
  readonly servers: readonly (Pick<ServerAssignment, "kind" | "options"> & { readonly socket: ListeningSocket })[];
  /** Where the cores are reached now; asked before every start of a process. */
  readonly cores: () => Promise<readonly string[]>;
  /** CoreCredentials: what frontends show to cores elsewhere. */
  readonly credentials?: unknown;
  /** LogOptions. */
  readonly logs: unknown;
  /** Who frontends run as; absent: the user of the server. */
  readonly identity?: { readonly user: string | undefined; readonly group: string | undefined };
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly events: EventLog;
  readonly clock?: Clock;
  /** Starts a process; the real thing unless a test has another. */
  readonly launch?: (launch: FrontendLaunch) => Promise<FrontendProcess>;
}

export interface FrontendLaunch {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly inheritFds: readonly number[];
  readonly user: string | undefined;
  readonly group: string | undefined;
}

/** A frontend as operators see it. */
export interface FrontendReport {
  readonly state: PlaceState;
  /** Undefined: there is no process now. */
  readonly pid: number | undefined;
  /** Wall-clock milliseconds; 0: none was started yet. */
  readonly startedAtMs: number;
  readonly restarts: number;
  /** Why it takes no connections, or cannot reach the core; "" if all is well. */
  readonly problem: string;
}

/** Keeps the frontend processes running. */
export class FrontendSupervisor {
  readonly #options: FrontendSupervisorOptions;
  readonly #places: readonly FrontendPlace[];

  constructor(options: FrontendSupervisorOptions) {
    this.#options = options;
    const { log, events, clock = systemClock } = options;
    const startProcess = () => this.#startProcess();
    // Whoever looks into a process with a debugger stops it.
    const isDebugged = options.nodeArguments.some((argument) => argument.startsWith("--inspect"));
    this.#places = Array.from(
      { length: options.count },
      () => new FrontendPlace({ startProcess, replacesHung: !isDebugged, clock, log, events }),
    );
  }

  /** Processes that run. */
  get frontends(): { pid: number; startedAtMs: number; restarts: number }[] {
    return this.#places.flatMap(({ pid, startedAtMs, restarts }) =>
      pid === undefined ? [] : [{ pid, startedAtMs, restarts }],
    );
  }

  /** All places, those without a process as well. */
  get reports(): FrontendReport[] {
    return this.#places.map(({ state, pid, startedAtMs, restarts, problem, coreProblem }) => ({
      state,
      pid,
      startedAtMs,
      restarts,
      problem: problem || (coreProblem && `it cannot reach the core: ${coreProblem}`),
    }));
  }

  /** Why nobody can be served; undefined while a frontend takes connections and reaches the core. */
  get outage(): string | undefined {
    if (this.#places.some(({ state, coreProblem }) => state === "listening" && coreProblem === "")) return undefined;
    const listening = this.#places.find(({ state }) => state === "listening");
    if (listening) return `no HTTP frontend reaches the core: ${listening.coreProblem}`;
    const problem = this.#places.map((place) => place.problem).find((text) => text !== "");
    return `no HTTP frontend takes connections${problem ? `: ${problem}` : ""}`;
  }

  memoryBytes(): number {
    return this.frontends.reduce((sum, { pid }) => sum + readMemoryBytes(pid), 0);
  }

  /** Starts all; settles when all take connections. Rejects if one ends before that; the others are to be stopped then. */
  async start(): Promise<void> {
    await Promise.all(this.#places.map((place) => place.start()));
  }

  /** Checks of readiness fail from now on, so that load balancers turn away. */
  drain(): void {
    for (const place of this.#places) place.send({ type: "drain" });
  }

  /** All open the files of the log anew. */
  reopenLogs(): void {
    for (const place of this.#places) place.send({ type: "reopen_logs" });
  }

  /** Lets all finish what runs; kills those that are not gone in time. */
  async stop(plan: EndPlan): Promise<void> {
    await Promise.all(this.#places.map((place) => place.stop(plan)));
  }

  async #startProcess(): Promise<FrontendProcess> {
    const {
      servers,
      cores,
      credentials,
      logs,
      nodeArguments,
      identity,
      baseEnv,
      launch = launchProcess,
    } = this.#options;
    const addresses = await cores();
    const inheritFds = servers.flatMap(({ socket }) => socket.fd ?? []);
    const { user, group } = identity ?? { user: undefined, group: undefined };
    const env = childEnvironment(baseEnv, undefined, otherUser(user, "http"));
    const child = await launch({ command: [process.execPath, ...nodeArguments], env, inheritFds, user, group });
    child.send({
      type: "assignment",
      cores: addresses,
      credentials,
      logs,
      servers: servers.map(({ kind, options, socket: { fd, address } }) => {
        const listenFd = fd === undefined ? undefined : FIRST_INHERITED_FD + inheritFds.indexOf(fd);
        return { kind, options, listenFd, address };
      }),
    } satisfies FrontendAssignment);
    return child;
  }
}

function launchProcess({ command, env, inheritFds, user, group }: FrontendLaunch): Promise<FrontendProcess> {
  return ChildProcess.start({
    command,
    workingDirectory: currentDirectory(),
    env: { ...env },
    // Frontends log in the configured form themselves.
    stdio: "inherit",
    messageChannel: true,
    inheritFds,
    user,
    group,
    userSection: "http",
  });
}

/** The folder that the server was started in may be gone since. */
function currentDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return "/";
  }
}
