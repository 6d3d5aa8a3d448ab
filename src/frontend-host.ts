import { abortable } from "./async/abortable.ts";
import { type EndPlan, planEnd } from "./async/end-plan.ts";
import type { LoadedConfiguration } from "./config/load.ts";
import { EventLog } from "./events/event-log.ts";
import { FrontendGroup, SERVER_KINDS } from "./frontends/frontend-group.ts";
import type { Log } from "./log.ts";

export interface FrontendHostOptions {
  readonly loaded: LoadedConfiguration;
  /** Addresses of the cores that run the pools. */
  readonly cores: readonly string[];
  /** CoreCredentials: what frontends show to the cores. */
  readonly credentials?: unknown;
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** Arguments of Node that start a frontend. */
  readonly frontendArguments: readonly string[];
}

/** The frontends of a configuration without its pools: those are in cores elsewhere. */
export class FrontendHost {
  readonly #options: FrontendHostOptions;
  readonly group: FrontendGroup;

  constructor(options: FrontendHostOptions) {
    this.#options = options;
    const { loaded, credentials, baseEnv, log, frontendArguments } = options;
    const { configuration } = loaded;
    this.group = new FrontendGroup({
      configuration,
      kinds: SERVER_KINDS,
      nodeArguments: frontendArguments,
      credentials,
      baseEnv,
      log,
      // Nobody asks a frontend for events; what they say is in the log.
      events: new EventLog(1),
    });
  }

  /**
   * Rejects with the first reason and has ended all then. Whether a core can be reached is no condition.
   *
   * @param signal ends the start: it rejects, and `stop` ends what was begun
   */
  async start(signal: AbortSignal): Promise<void> {
    try {
      await this.group.openSockets();
      signal.throwIfAborted();
      const cores = async () => this.#options.cores;
      await abortable(this.group.startStatus(cores), signal);
      await abortable(this.group.start(cores), signal);
    } catch (thrown) {
      if (!signal.aborted) await this.#stopGroup(planEnd(0));
      throw thrown;
    }
  }

  /** The frontends open the files of the log anew. */
  reopenLogs(): void {
    this.group.reopenLogs();
  }

  /** Fails checks of readiness, waits for load balancers to see it, lets what runs finish, ends the processes. */
  async stop(plan: EndPlan): Promise<void> {
    this.group.drain();
    await plan.accept.elapsed();
    await this.#stopGroup(plan);
  }

  async #stopGroup(plan: EndPlan): Promise<void> {
    await this.group.stop(plan);
    await this.group.stopStatus(plan);
  }
}
