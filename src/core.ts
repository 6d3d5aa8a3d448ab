import { tmpdir } from "node:os";
import { join } from "node:path";
import { FRONTENDS_ENTRANCE } from "./api/entrance.ts";
import { type ApiServer, createApiServer } from "./api/server.ts";
import type { ServerControl } from "./api/server-service.ts";
import type { SpillRules } from "./api/spilled-reply.ts";
import { abortable } from "./async/abortable.ts";
import { Deadline } from "./async/deadline.ts";
import { type EndPlan, planEnd } from "./async/end-plan.ts";
import { systemClock } from "./clock.ts";
import type { LoadedConfiguration } from "./config/load.ts";
import { plainConfiguration } from "./config/write.ts";
import { ControlAddresses } from "./control-addresses.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import { RrError } from "./errors.ts";
import { EventLog } from "./events/event-log.ts";
import { FrontendGroup, SERVER_KINDS } from "./frontends/frontend-group.ts";
import { type ServerHealth, serverHealth } from "./health/server-health.ts";
import { ServerLife, type ServerStateName } from "./health/server-state.ts";
import { floodLimited } from "./log/flood-limited-log.ts";
import type { LogOutput } from "./log/log-output.ts";
import type { Log } from "./log.ts";
import { Pool } from "./pool/pool.ts";
import { resolveIdentity, socketRightsFor } from "./process/identity.ts";
import { runInitHook } from "./process/init-hook.ts";
import { RunFolder, removeDeadRunFolders, runBases } from "./process/run-folder.ts";
import { descriptorsMax, startWarnings } from "./process/start-warnings.ts";
import { Reloader } from "./reload/reloader.ts";
import { rpcMethods } from "./rpc/methods.ts";
import { RpcServer } from "./rpc/rpc-server.ts";
import { spillProblem } from "./spool/spill.ts";
import { checkSpoolDirectory, Spool } from "./spool/spool.ts";
import { VERSION } from "./version.ts";

export interface CoreOptions {
  readonly loaded: LoadedConfiguration;
  /** The environment that workers get, before what the configuration adds. */
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** Where its lines go: troubles of these places become events. */
  readonly logOutput?: Pick<LogOutput, "listen" | "reopen">;
  /** Arguments of Node that start a frontend. */
  readonly frontendArguments: readonly string[];
  /** False: HTTP is served by frontends elsewhere; only `status` is served here. */
  readonly withFrontends: boolean;
  /** An operator asked by `ServerService.Shutdown`. */
  readonly onShutdown: (timeoutMs: number | undefined) => void;
}

/** A disk that is full is told of once in so long. */
const SPOOL_NEWS_MS = 60_000;

/** Everything of one server, put together by hand in the order in which it depends on each other. */
export class Core {
  readonly #options: CoreOptions;
  readonly #events: EventLog;
  readonly #pools: readonly Pool[];
  readonly #dispatcher: Dispatcher;
  readonly #life = new ServerLife();
  readonly #control: MutableControl;
  readonly #runFolder: RunFolder;
  readonly #spool: Spool;
  #starting: Promise<void> | undefined;
  #statusStarted: Promise<void> | undefined;
  #resetting = false;
  /** The signal that asked while a reset was under way. */
  #resetAgain: string | undefined;
  #api: ApiServer | undefined;
  #addresses: ControlAddresses | undefined;
  /** Where the frontends of this server find it; "" before it is open. */
  #privateAddress = "";
  #rpc: RpcServer | undefined;
  #reloader: Reloader | undefined;
  readonly frontends: FrontendGroup;

  constructor(options: CoreOptions) {
    this.#options = options;
    const { configuration, redact } = options.loaded;
    const { log, baseEnv } = options;
    this.#events = new EventLog(configuration.control.eventsKept, systemClock, redact);
    this.#runFolder = new RunFolder(runBases(baseEnv), usesOtherUsers(configuration));
    options.logOutput?.listen({
      failing: ({ place, problem }) =>
        this.#events.record("log.failing", {
          message: `the log cannot be written to ${place}: ${problem}`,
          attributes: { place },
        }),
      recovered: ({ place }, lost) =>
        this.#events.record("log.recovered", {
          message: `the log is written to ${place} again; ${lost} lines were dropped`,
          attributes: { place, lost },
        }),
    });
    const surroundings = { clock: systemClock, log, events: this.#events, baseEnv, redact, pipePlace: this.#runFolder };
    this.#pools = configuration.pools.map((pool) => new Pool(pool, surroundings));
    this.#dispatcher = new Dispatcher(this.#pools);
    this.#spool = new Spool(configuration.spool, log.child({ channel: "server" }), ({ problem, folder, others }) =>
      this.#events.record("spool.failed", {
        message: `files of requests cannot be kept in ${folder}: ${problem}`,
        attributes: { folder, left_out: others || undefined },
      }),
    );
    this.frontends = new FrontendGroup({
      configuration,
      kinds: options.withFrontends ? SERVER_KINDS : ["status"],
      nodeArguments: options.frontendArguments,
      baseEnv: options.baseEnv,
      log: options.log,
      events: this.#events,
    });
    this.#control = new MutableControl({
      options,
      life: this.#life,
      dispatcher: this.#dispatcher,
      frontends: this.frontends,
    });
  }

  get control(): ServerControl {
    return this.#control;
  }

  /**
   * Opens the addresses, boots the pools, starts the frontends. Rejects with the first reason and has ended all then.
   *
   * @param signal ends the start: it rejects at once, and `stop` ends what was begun
   */
  async start(signal: AbortSignal = new AbortController().signal): Promise<void> {
    this.#starting = this.#start(signal);
    try {
      await abortable(this.#starting, signal);
    } catch (thrown) {
      if (!signal.aborted) await this.stop(planEnd(0));
      throw thrown;
    }
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { loaded, baseEnv, log } = this.#options;
    const { configuration } = loaded;
    const { onInit, workingDirectory } = configuration;
    const steps: [waitsFor: string, step: () => Promise<unknown> | undefined][] = [
      // Addresses first: a port in use shows before minutes of booting, and who asks is told what is waited for.
      ["its addresses", () => this.frontends.openSockets()],
      ["the removal of what former servers left", () => this.#removeLeftovers()],
      ["its addresses", () => this.#openApi()],
      ["its addresses", () => this.#openRpc()],
      ["its status address", () => this.#startStatus(onInit !== undefined)],
      [
        `the end of server.on_init "${onInit?.command.join(" ")}"`,
        () => onInit && runInitHook(onInit, { workingDirectory, baseEnv, pipePlace: this.#runFolder, log, signal }),
      ],
      // The hook may have made it.
      ["its folder of uploads", () => checkUploads(configuration.spool.directory)],
      ["the workers of its pools", () => this.#startPools()],
      ["its HTTP frontends", () => this.frontends.start(this.#cores)],
      ["its status address", () => this.#statusStarted],
      // Not before the frontends are there: they answer what the authority asks.
      ["the watch of its files", () => this.#startReloader()],
    ];
    this.#warn();
    for (const [waitsFor, step] of steps) {
      signal.throwIfAborted();
      this.#life.waitFor(waitsFor);
      await step();
    }
    signal.throwIfAborted();
    this.#control.httpAddresses.push(...this.frontends.addresses("http", "https", "fastcgi"));
    if (this.#life.start().drained) this.#dispatcher.drain();
    const addresses = [...this.frontends.addresses(...SERVER_KINDS), ...this.#control.controlAddresses];
    const message = `serving: ${addresses.join(", ")}`;
    this.#events.record("server.started", { message });
  }

  /** Settles when checks are answered, or at once if nothing is to come after them: workers boot meanwhile. */
  async #startStatus(comesFirst: boolean): Promise<void> {
    this.#statusStarted = this.frontends.startStatus(this.#cores);
    this.#statusStarted.catch(() => {});
    if (comesFirst) await this.#statusStarted;
  }

  #warn(): void {
    const { pools, http } = this.#options.loaded.configuration;
    const warnings = startWarnings({
      uid: process.getuid?.(),
      pools: pools.map(({ name, user, group, numWorkers, dynamicAllocator }) => ({
        name,
        uid: resolveIdentity(user, group).uid,
        workers: numWorkers + (dynamicAllocator?.maxWorkers ?? 0),
      })),
      connectionsMax: http && this.#options.withFrontends ? http.maxConnections : undefined,
      descriptorsMax: descriptorsMax(),
    });
    for (const text of warnings) this.#options.log.warn({ event: "server.warning" }, text);
    this.#control.warnings.push(...warnings);
  }

  async #startReloader(): Promise<void> {
    const { loaded, log } = this.#options;
    const { reload, workingDirectory } = loaded.configuration;
    if (reload) {
      this.#reloader = new Reloader(reload, workingDirectory, {
        pool: (name) => this.#dispatcher.pool(name),
        events: this.#events,
        log: log.child({ channel: "reload" }),
      });
      await this.#reloader.start();
    }
  }

  /** Opens all files of the log anew, here and in the frontends. */
  reopenLogs(): void {
    this.#options.logOutput?.reopen();
    this.frontends.reopenLogs();
  }

  /** Takes nothing new, lets running calls finish, ends all processes: each part by the moment that the plan gives it. */
  async stop(plan: EndPlan): Promise<void> {
    const { accept, cut, gone } = plan;
    const wasServing = this.#life.state === "serving";
    this.#life.stop();
    const reloaderClosed = this.#reloader?.close();
    this.#events.record("server.draining", { message: "the server stops" });
    // Checks fail from now on. Load balancers get time to see that before connections are refused.
    if (wasServing) await accept.elapsed();
    const frontendsStopped = this.frontends.stop(plan);
    // Frontends elsewhere send new calls to other cores, and the rest of those that have begun.
    await cut.race(Promise.all([frontendsStopped, this.#api?.drain(cut)]));
    await Promise.all(this.#pools.map((pool) => pool.stop(gone, cut)));
    this.#events.record("server.stopped", { message: "all workers have ended" });
    this.#rpc?.close();
    this.#addresses?.close();
    await Promise.all([frontendsStopped, this.frontends.stopStatus(plan)]);
    await this.#api?.close(gone);
    // What the start had begun has nothing to do any more; it must not open anything later.
    await gone.race(Promise.all([this.#starting?.catch(() => {}), this.#spool.close(), reloaderClosed]));
    this.#runFolder.remove();
  }

  /** A signal asked for a new generation in all pools. Never rejects: what fails is an event, and in the log. */
  async resetPools(signal: string): Promise<void> {
    const { log } = this.#options;
    const { state } = this.#life;
    const isPossible = state === "serving";
    const message = isPossible
      ? `${signal}: all pools are reset`
      : `${signal}: pools are not reset, the server is ${state}`;
    log.info({ signal }, message);
    this.#events.record("server.signalled", { message, actor: `signal ${signal}`, attributes: { signal } });
    if (!isPossible) return;
    // Signals that come while pools are reset lead to one more reset, as the code may have changed once more.
    if (this.#resetting) {
      this.#resetAgain = signal;
      return;
    }
    this.#resetting = true;
    const results = await Promise.allSettled(this.#pools.map((pool) => pool.reset(undefined, `signal ${signal}`)));
    this.#resetting = false;
    for (const result of results) {
      if (result.status === "rejected") log.error({ signal }, RrError.from(result.reason).message);
    }
    const again = this.#resetAgain;
    this.#resetAgain = undefined;
    if (again !== undefined) await this.resetPools(again);
  }

  async #openApi(): Promise<void> {
    const { loaded, baseEnv, log } = this.#options;
    const { control, http } = loaded.configuration;
    this.#api = createApiServer({
      dispatcher: this.#dispatcher,
      events: this.#events,
      control: this.#control,
      loaded,
      frontendMemoryBytes: () => this.frontends.memoryBytes(),
      messageBytesMax: control.maxMessageBytes,
      payloadBytesMax: Math.max(
        control.maxMessageBytes,
        http?.maxRequestBytes ?? 0,
        ...(http?.routes ?? []).map(({ maxRequestBytes }) => maxRequestBytes),
      ),
      spool: this.#spool,
      spillRules: this.#spillRules(),
      log: floodLimited(log.child({ channel: "control" }), systemClock),
    });
    this.#addresses = await ControlAddresses.open(this.#api, {
      configuration: loaded.configuration,
      env: baseEnv,
      log: log.child({ channel: "control" }),
    });
    this.#control.controlAddresses.push(...this.#addresses.addresses);
    this.#control.warnings.push(...this.#addresses.warnings);
    await this.#reachablePrivately();
  }

  readonly #cores = async () => [await this.#reachablePrivately()];

  /** Folders of servers and of their uploads that were killed. */
  async #removeLeftovers(): Promise<void> {
    const { baseEnv, log } = this.#options;
    await removeDeadRunFolders(runBases(baseEnv), log.child({ channel: "server" }));
    await this.#spool.clean();
  }

  /** The address for frontends; its socket is there when this settles. */
  async #reachablePrivately(): Promise<string> {
    const api = this.#api!;
    // Windows has no such sockets in the file system; frontends use the public address there.
    if (process.platform === "win32") return this.#control.controlAddresses[0]!;
    this.#runFolder.restore();
    const { http } = this.#options.loaded.configuration;
    const entrance = {
      ...FRONTENDS_ENTRANCE,
      rights: socketRightsFor({ user: http?.user, group: http?.group, key: "http" }),
      makeFolder: () => this.#runFolder.restore(),
    };
    const path = join(this.#runFolder.path, "core.sock");
    if (this.#privateAddress === `unix://${path}`) await api.restoreSockets();
    else this.#privateAddress = await api.listen({ kind: "unix", path }, entrance);
    return this.#privateAddress;
  }

  #spillRules(): SpillRules {
    const { replyBytesMax, streamBytesMax, totalBytesMax } = this.#options.loaded.configuration.waitingReplies;
    const { monotonicMs } = systemClock;
    let toldAtMs = Number.NEGATIVE_INFINITY;
    const problem = (thrown: unknown) => {
      if (monotonicMs() - toldAtMs < SPOOL_NEWS_MS) return;
      toldAtMs = monotonicMs();
      const message = `replies cannot wait on the disk for slow readers: ${spillProblem(thrown)}; workers wait for them (http.uploads.dir)`;
      this.#options.log.warn({ channel: "server", event: "spool.waiting_failed" }, message);
      this.#events.record("spool.waiting_failed", { message });
    };
    return { spill: this.#spool.spill(totalBytesMax, problem), clock: systemClock, replyBytesMax, streamBytesMax };
  }

  async #openRpc(): Promise<void> {
    const { loaded, log } = this.#options;
    const { rpc } = loaded.configuration;
    if (!rpc) return;
    const [pool] = loaded.configuration.pools;
    const rights = socketRightsFor({ user: pool?.user, group: pool?.group });
    const channel = floodLimited(log.child({ channel: "rpc" }), systemClock);
    const json = () => JSON.stringify(plainConfiguration(loaded.masked.message));
    this.#rpc = await RpcServer.open(rpc.listen, rights, rpcMethods(this.#dispatcher, json, channel), channel);
  }

  async #startPools(): Promise<void> {
    const { log } = this.#options;
    const progress = setInterval(() => {
      for (const pool of this.#pools)
        if (pool.state === "booting")
          log.info({ pool: pool.name, booting: pool.workersBooting }, `pool "${pool.name}" is still booting`);
    }, 5_000);
    try {
      await Promise.all(this.#pools.map((pool) => pool.start()));
    } finally {
      clearInterval(progress);
    }
  }
}

/** Whether processes are started for users other than this one. */
function usesOtherUsers({ pools, http, onInit }: LoadedConfiguration["configuration"]): boolean {
  const all = [...pools, ...(http ? [http] : []), ...(onInit ? [{ user: onInit.user, group: undefined }] : [])];
  return all.some(({ user, group }) => user !== undefined || group !== undefined);
}

interface ControlParts {
  readonly options: CoreOptions;
  readonly life: ServerLife;
  readonly dispatcher: Dispatcher;
  readonly frontends: FrontendGroup;
}

class MutableControl implements ServerControl {
  readonly version = VERSION;
  readonly startedAtMs = Date.now();
  readonly configFile: string;
  readonly workingDirectory: string;
  readonly controlAddresses: string[] = [];
  readonly httpAddresses: string[] = [];
  readonly warnings: string[] = [];
  readonly #gracePeriodMs: number;
  readonly #parts: ControlParts;

  constructor(parts: ControlParts) {
    const { configuration } = parts.options.loaded;
    this.configFile = configuration.configFile ?? "";
    this.workingDirectory = configuration.workingDirectory;
    this.#gracePeriodMs = configuration.gracePeriodMs;
    this.#parts = parts;
  }

  get state(): ServerStateName {
    return this.#parts.life.state;
  }

  get health(): ServerHealth {
    const { life, dispatcher, frontends } = this.#parts;
    const { state, started, waitsFor } = life;
    const pools = dispatcher.pools.map((pool) => {
      const { name, stateReason, options, workersWanted } = pool;
      const workers = pool.workers.filter((worker) => worker.state === "ready" || worker.state === "working").length;
      return { name, state: pool.state, stateReason, debug: options.debug, workers, workersWanted };
    });
    return serverHealth({
      state,
      started,
      waitsFor,
      frontendOutage: state === "starting" ? undefined : frontends.outage,
      pools,
    });
  }

  get frontends(): ServerControl["frontends"] {
    return this.#parts.frontends.reports;
  }

  async drain(timeoutMs: number | undefined): Promise<void> {
    const { life, dispatcher } = this.#parts;
    if (!life.drain()) return;
    dispatcher.drain();
    await dispatcher.whenIdle(Deadline.after(timeoutMs ?? this.#gracePeriodMs));
  }

  undrain(): void {
    const { life, dispatcher } = this.#parts;
    if (!life.undrain()) throw new RrError("DRAINING", "the server is stopping: it cannot take calls again");
    dispatcher.undrain();
  }

  shutdown(timeoutMs: number | undefined): void {
    this.#parts.options.onShutdown(timeoutMs);
  }
}

function checkUploads(directory: string | undefined): undefined {
  if (directory !== undefined) checkSpoolDirectory(directory, "http.uploads.dir");
  else checkSpoolDirectory(tmpdir(), "the folder of temporary files (TMPDIR)");
  return undefined;
}
