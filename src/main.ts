import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { Deadline } from "./async/deadline.ts";
import { type EndPlan, planEnd } from "./async/end-plan.ts";
import { loadConfiguration } from "./config/load.ts";
import { Core } from "./core.ts";
import { RrError } from "./errors.ts";
import { FrontendHost } from "./frontend-host.ts";
import type { FrontendGroup } from "./frontends/frontend-group.ts";
import type { ServerKind } from "./frontends/frontend-supervisor.ts";
import { createLog, type Log } from "./log.ts";
import { watchOrphans } from "./process/orphans.ts";
import { VERSION } from "./version.ts";

export interface ServeOptions {
  configFile?: string | undefined;
  cwd: string;
  /** Where relative paths and workers start from. Absent: the folder of the file. */
  workingDirectory?: string | undefined;
  env: Record<string, string | undefined>;
  overrides: readonly string[];
  dotenv?: string | undefined;
  /** No banner. */
  silent: boolean;
}

export interface ServeFrontendsOptions extends ServeOptions {
  /** Addresses of the cores. */
  cores: readonly string[];
  /** CoreCredentials: what frontends show to the cores. */
  credentials: unknown;
}

/** Signals that end the server: politely the first time, at once the second time. */
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGQUIT"] as const;

/**
 * Runs a server until it is told to end. Settles with the exit code of the process; rejects with an RrError if the
 * server cannot start, and all its processes are gone then.
 */
export async function serve({ withFrontends, ...options }: ServeOptions & { withFrontends: boolean }): Promise<number> {
  const { loaded, log, stop } = prepare(options);
  const core = new Core({
    loaded,
    baseEnv: loaded.env,
    log,
    frontendArguments: frontendArguments(),
    withFrontends,
    onShutdown: (timeoutMs) => stop.request(timeoutMs),
  });
  if (await stop.comesFirst(core.start(stop.signal))) log.info({}, "the start is broken off");
  else if (!options.silent) {
    const { controlAddresses, configFile } = core.control;
    const control = controlAddresses.map((address) => ({
      name: "control",
      address,
      hint: "(gRPC: rrctl, grpcurl, buf curl)",
    }));
    banner(configFile, [...frontendAddresses(core.frontends), ...control]);
  }
  return await stop.end((plan) => core.stop(plan));
}

/** The same for frontends alone. */
export async function serveFrontends({ cores, credentials, ...options }: ServeFrontendsOptions): Promise<number> {
  const { loaded, log, stop } = prepare(options);
  const host = new FrontendHost({
    loaded,
    cores,
    credentials,
    baseEnv: loaded.env,
    log,
    frontendArguments: frontendArguments(),
  });
  if (await stop.comesFirst(host.start(stop.signal))) log.info({}, "the start is broken off");
  else if (!options.silent) {
    const addresses = cores.map((address) => ({ name: "core", address, hint: "" }));
    banner(loaded.configuration.configFile ?? "", [...frontendAddresses(host.group), ...addresses]);
  }
  return await stop.end((plan) => host.stop(plan));
}

function prepare(options: ServeOptions) {
  setFlagsFromString(NO_PRETENURING);
  const loaded = loadConfiguration({
    file: options.configFile,
    cwd: options.cwd,
    env: options.env,
    overrides: [...options.overrides],
    dotenv: options.dotenv,
    workingDirectory: options.workingDirectory,
  });
  const { logs } = loaded.configuration;
  const log = createLog(logs);
  for (const warning of loaded.warnings) log.warn({ channel: "config" }, warning.text);
  watchOrphans(log);
  return { loaded, log, stop: new StopRequest(loaded.configuration, log) };
}

interface StopTimes {
  readonly gracePeriodMs: number;
  readonly drainDelayMs: number;
}

/** What killed processes take to be seen as gone. */
const LATE_MS = 500;

/** Once someone wants the server to end: who, by a signal or a call, and how long it may take. */
class StopRequest {
  readonly #times: StopTimes;
  readonly #log: Log;
  readonly #asked = new AbortController();
  /** Of the first request: there is one deadline, whatever follows. */
  #plan: EndPlan | undefined;

  constructor(times: StopTimes, log: Log) {
    this.#times = times;
    this.#log = log;
    for (const signal of STOP_SIGNALS) process.on(signal, () => this.#signalled(signal));
  }

  /** Aborts when somebody has asked. */
  get signal(): AbortSignal {
    return this.#asked.signal;
  }

  /** Begins the one period in which everything ends. */
  request(timeoutMs: number | undefined): void {
    if (this.#plan) return;
    this.#plan = planEnd(timeoutMs ?? this.#times.gracePeriodMs, this.#times.drainDelayMs);
    this.#asked.abort(new RrError("CANCELLED", "the server was asked to end while it started"));
  }

  /** True if a start was broken off by the request; false if it is done. Rejects if it failed. */
  async comesFirst(start: Promise<void>): Promise<boolean> {
    try {
      await start;
      return false;
    } catch (thrown) {
      if (!this.signal.aborted) throw thrown;
      return true;
    }
  }

  /** Waits for the request and ends everything in its time. Settles with the exit code. */
  async end(stop: (plan: EndPlan) => Promise<void>): Promise<number> {
    if (!this.signal.aborted) await once(this.signal, "abort");
    const plan = this.#plan!;
    const stopped = stop(plan).then(() => true);
    const ended = (await plan.gone.race(stopped)) ?? (await Deadline.after(LATE_MS).race(stopped));
    if (ended) this.#log.info({}, "stopped");
    else this.#log.error({}, "something did not end in time: the process ends without it");
    return 0;
  }

  #signalled(signal: NodeJS.Signals): void {
    if (this.#plan) {
      this.#log.warn({ signal }, "asked to end a second time: ending at once");
      process.exit(1);
    }
    this.#log.info({ signal }, `asked to end: running calls have ${this.#times.gracePeriodMs / 1000} s`);
    this.request(undefined);
  }
}

/**
 * Messages made while the program starts stay, so V8 would come to put all messages where long-lived things are, and with
 * them what they refer to: 3 KB of each request that only a full collection finds. 25 MB of a frontend, and a third of
 * its latency at the 99th percentile.
 */
const NO_PRETENURING = "--no-allocation-site-pretenuring";

/** How V8 keeps a frontend's memory: nearly all of it is the short-lived garbage of requests. */
const FRONTEND_MEMORY = [
  // A small nursery holds it, and takes 30 MB less than Node's default of 16 MB does, at no measurable cost.
  "--max-semi-space-size=2",
  // So small a nursery is swept by one thread sooner than several can agree on it: a tenth of the rate.
  "--no-parallel-scavenge",
  NO_PRETENURING,
];

/** Frontends get the options of Node that this process got: a loader for the sources, limits, profiling. */
function frontendArguments(): string[] {
  const compiled = fileURLToPath(new URL("./http/main.js", import.meta.url));
  const script = existsSync(compiled) ? compiled : fileURLToPath(new URL("./http/main.ts", import.meta.url));
  return [...FRONTEND_MEMORY, ...process.execArgv, script];
}

interface BannerLine {
  readonly name: string;
  readonly address: string;
  readonly hint: string;
}

function frontendAddresses(group: FrontendGroup): BannerLine[] {
  const lines = (name: string, hint: string, ...kinds: ServerKind[]) =>
    group.addresses(...kinds).map((address) => ({ name, address, hint }));
  return [
    ...lines("http", "", "http", "https", "fastcgi"),
    ...lines("files", "", "fileserver"),
    ...lines("status", "(/health, /ready)", "status"),
  ];
}

function banner(configFile: string, addresses: readonly BannerLine[]): void {
  const lines = addresses.map(({ name, address, hint }) => `  ${name.padEnd(8)} ${address}   ${hint}`.trimEnd());
  process.stderr.write(["", `  rrctl ${VERSION} serves ${configFile}`, ...lines, "", ""].join("\n"));
}
