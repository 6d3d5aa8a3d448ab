import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { loadConfiguration } from "./config/load.ts";
import { Core } from "./core.ts";
import { RrError, withTexts } from "./errors.ts";
import { FrontendHost } from "./frontend-host.ts";
import type { FrontendGroup } from "./frontends/frontend-group.ts";
import type { ServerKind } from "./frontends/frontend-messages.ts";
import { handleCrashes } from "./life/crash.ts";
import { endsWithParent, watchParent } from "./life/parent.ts";
import { handleSignals } from "./life/signals.ts";
import { StopRequest } from "./life/stop-request.ts";
import { LogOutput } from "./log/log-output.ts";
import { terminalColours } from "./log/terminal-colours.ts";
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

/** How long the end waits for lines of the log that a reader or a disk has no room for. */
const LOG_FLUSH_MS = 300;

/**
 * Runs a server until it is told to end. Settles with the exit code of the process; rejects with an RrError if the
 * server cannot start, and all its processes are gone then.
 */
export async function serve({ withFrontends, ...options }: ServeOptions & { withFrontends: boolean }): Promise<number> {
  const { loaded, output, stop } = prepare(options);
  const { log } = output;
  const core = new Core({
    loaded,
    baseEnv: loaded.env,
    log,
    logOutput: output,
    frontendArguments: frontendArguments(),
    withFrontends,
    onShutdown: (timeoutMs) => stop.request(timeoutMs),
  });
  handleSignals({
    end: (signal) => stop.signalled(signal),
    reset: (signal) => void core.resetPools(signal),
    reopenLogs: () => core.reopenLogs(),
  });
  try {
    if (await stop.comesFirst(core.start(stop.signal))) log.info({}, "the start is broken off");
    else if (!options.silent) {
      const { controlAddresses, configFile } = core.control;
      const control = controlAddresses.map((address) => ({
        name: "control",
        address,
        hint: "(gRPC: rrctl, grpcurl, buf curl)",
      }));
      output.print(banner(configFile, [...frontendAddresses(core.frontends), ...control]));
    }
    return await stop.end((plan) => core.stop(plan));
  } catch (thrown) {
    throw withTexts(RrError.from(thrown), loaded.redact);
  } finally {
    await output.flush(LOG_FLUSH_MS);
  }
}

/** The same for frontends alone. */
export async function serveFrontends({ cores, credentials, ...options }: ServeFrontendsOptions): Promise<number> {
  const { loaded, output, stop } = prepare(options);
  const { log } = output;
  const host = new FrontendHost({
    loaded,
    cores,
    credentials,
    baseEnv: loaded.env,
    log,
    frontendArguments: frontendArguments(),
  });
  handleSignals({
    end: (signal) => stop.signalled(signal),
    reset: (signal) => log.info({ signal }, "no pools are here to be reset: send the signal to the cores"),
    reopenLogs: () => {
      output.reopen();
      host.reopenLogs();
    },
  });
  try {
    if (await stop.comesFirst(host.start(stop.signal))) log.info({}, "the start is broken off");
    else if (!options.silent) {
      const addresses = cores.map((address) => ({ name: "core", address, hint: "" }));
      const { configFile } = loaded.configuration;
      output.print(banner(configFile ?? "", [...frontendAddresses(host.group), ...addresses]));
    }
    return await stop.end((plan) => host.stop(plan));
  } finally {
    await output.flush(LOG_FLUSH_MS);
  }
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
  outliveReaders();
  const output = new LogOutput(logs, { colours: terminalColours(options.env), redact: loaded.redact });
  process.on("exit", () => output.end());
  const { log } = output;
  for (const warning of loaded.warnings) log.warn({ channel: "config" }, warning.text);
  watchOrphans(log);
  const stop = new StopRequest(loaded.configuration, log, (code) => process.exit(code));
  handleCrashes((thrown) => stop.crashed(thrown));
  if (endsWithParent(options.env))
    watchParent(() => {
      log.info({ event: "process.orphaned" }, "the program that started this one is gone: ending as by SIGTERM");
      stop.request();
    });
  return { loaded, output, stop };
}

/** That somebody who read standard output or error has left is no reason to end a server. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners("error");
    stream.on("error", () => {});
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

function banner(configFile: string, addresses: readonly BannerLine[]): string {
  const lines = addresses.map(({ name, address, hint }) => `  ${name.padEnd(8)} ${address}   ${hint}`.trimEnd());
  return ["", `  rrctl ${VERSION} serves ${configFile}`, ...lines, "", ""].join("\n");
}
