import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { loadConfiguration } from "./config/load.ts";
import { Core } from "./core.ts";
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

/** Signals that end the server: politely the first time, at once the second time. */
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGQUIT"] as const;

/**
 * Runs a server until it is told to end. Settles with the exit code of the process; rejects with an RrError if the
 * server cannot start, and all its processes are gone then.
 */
export async function serve(options: ServeOptions): Promise<number> {
  const loaded = loadConfiguration({
    file: options.configFile,
    cwd: options.cwd,
    env: options.env,
    overrides: [...options.overrides],
    dotenv: options.dotenv,
    workingDirectory: options.workingDirectory,
  });
  const { configuration } = loaded;
  const log = createLog(configuration.logs);
  for (const warning of loaded.warnings) log.warn({ channel: "config" }, warning.text);

  watchOrphans(log);
  const stop = new StopRequest(configuration.gracePeriodMs, log);
  const core = new Core({
    loaded,
    baseEnv: loaded.env,
    log,
    frontendArguments: frontendArguments(),
    onShutdown: (timeoutMs) => stop.request(timeoutMs),
  });
  await core.start();
  if (!options.silent) banner(core);
  const timeoutMs = await stop.requested;
  await core.stop(timeoutMs);
  log.info({}, "stopped");
  return 0;
}

/** Once someone wants the server to end: who, by a signal or a call, and how long it may take. */
class StopRequest {
  readonly requested: Promise<number>;
  readonly #gracePeriodMs: number;
  readonly #log: Log;
  #resolve!: (timeoutMs: number) => void;
  #asked = false;

  constructor(gracePeriodMs: number, log: Log) {
    this.#gracePeriodMs = gracePeriodMs;
    this.#log = log;
    this.requested = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const signal of STOP_SIGNALS) process.on(signal, () => this.#signalled(signal));
  }

  request(timeoutMs: number | undefined): void {
    this.#asked = true;
    this.#resolve(timeoutMs ?? this.#gracePeriodMs);
  }

  #signalled(signal: NodeJS.Signals): void {
    if (this.#asked) {
      this.#log.warn({ signal }, "asked to end a second time: ending at once");
      process.exit(1);
    }
    this.#log.info({ signal }, `asked to end: running calls have ${this.#gracePeriodMs / 1000} s`);
    this.request(undefined);
  }
}

/**
 * The garbage of a request is small and short-lived: a small nursery holds it, and keeps a frontend's memory 30 MB lower
 * than Node's default of 16 MB does, at no measurable cost.
 */
const FRONTEND_NURSERY = "--max-semi-space-size=2";

/** Frontends get the options of Node that this process got: a loader for the sources, limits, profiling. */
function frontendArguments(): string[] {
  const compiled = fileURLToPath(new URL("./http/main.js", import.meta.url));
  const script = existsSync(compiled) ? compiled : fileURLToPath(new URL("./http/main.ts", import.meta.url));
  return [FRONTEND_NURSERY, ...process.execArgv, script];
}

function banner(core: Core): void {
  const { httpAddresses, controlAddresses, configFile } = core.control;
  process.stderr.write(
    [
      "",
      `  rrctl ${VERSION} serves ${configFile}`,
      ...httpAddresses.map((address) => `  http     ${address}`),
      ...core.fileAddresses.map((address) => `  files    ${address}`),
      ...core.statusAddresses.map((address) => `  status   ${address}   (/health, /ready)`),
      ...controlAddresses.map((address) => `  control  ${address}   (gRPC: rrctl, grpcurl, buf curl)`),
      "",
      "",
    ].join("\n"),
  );
}
