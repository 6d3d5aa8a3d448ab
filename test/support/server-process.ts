import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Worker } from "../../gen/roadrunner/pool/v1/pool_pb.ts";
import { connectCore } from "../../src/client/core-client.ts";
import type { EventType } from "../../src/events/event-log.ts";
import { compiledRrctl } from "./compiled-server.ts";
import { eventually, within } from "./eventually.ts";
import { phpFixture } from "./php.ts";

/** What of a configuration file a test sets; the rest are the addresses, which the system chooses. */
export interface ServerConfig {
  /** A script in test/fixtures/php with its arguments, or a whole command. */
  script?: string;
  command?: string | string[];
  relay?: string;
  /** More of the section `server`. */
  server?: Record<string, unknown>;
  /** `null`: without an http section. */
  http?: Record<string, unknown> | null;
  pool?: Record<string, unknown>;
  pools?: Record<string, unknown>;
  logs?: Record<string, unknown>;
  fileserver?: Record<string, unknown>;
  status?: Record<string, unknown>;
  endure?: Record<string, unknown>;
  reload?: Record<string, unknown>;
  rpc?: Record<string, unknown>;
  /** tcp://host:port of the gRPC API; by default a port that the system chooses. */
  controlListen?: string;
  /** More of the section `control`; `null`: without that section. */
  control?: Record<string, unknown> | null;
}

/** A line of the log of a server, core and frontends alike. */
export interface ServerLogLine {
  level: string;
  msg: string;
  [field: string]: unknown;
}

const START_LIMIT_MS = 15_000;
const STOP_LIMIT_MS = 15_000;

/** Keys as in .rr.yaml; YAML takes JSON. */
function configFile({
  script = "worker.php",
  command,
  relay,
  server,
  http = {},
  pool,
  pools,
  logs,
  fileserver,
  status,
  endure,
  reload,
  rpc,
  controlListen = "tcp://127.0.0.1:0",
  control = {},
}: ServerConfig): string {
  return JSON.stringify({
    version: "3",
    server: { command: command ?? `php ${phpFixture(script)}`, ...(relay && { relay }), ...server },
    ...(http && { http: { address: "127.0.0.1:0", ...http, pool: { num_workers: 2, ...pool } } }),
    ...(pools && { pools }),
    ...(fileserver && { fileserver }),
    ...(status && { status }),
    ...(endure && { endure }),
    ...(reload && { reload }),
    ...(rpc && { rpc }),
    ...(control && { control: { listen: controlListen, ...control } }),
    logs: { mode: "production", encoding: "json", level: "debug", ...logs },
  });
}

export interface LaunchOptions {
  readonly command?: "serve" | "frontend";
  readonly through?: readonly string[];
  /** The Node to run it with. */
  readonly node?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A running `rrctl serve` with real workers, or `rrctl frontend`. */
export class ServerProcess {
  readonly directory: string;
  /** Everything on standard error, by line. */
  readonly output: string[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  #client: ReturnType<typeof connectCore> | undefined;

  private constructor(directory: string, child: ChildProcess) {
    this.directory = directory;
    this.#child = child;
    createInterface({ input: child.stderr! }).on("line", (line) => this.output.push(line));
    // "close" comes when the output is read to its end, frontends included.
    this.#exited = once(child, "close").then(([code, signal]) => ({ code, signal }));
  }

  /**
   * Starts a server, whether it will serve or not.
   *
   * @param through a command that runs it: the server's own follows
   */
  static async launch(
    config: ServerConfig,
    argv: readonly string[] = [],
    { command: name = "serve", through = [], node = process.execPath, env = {} }: LaunchOptions = {},
  ): Promise<ServerProcess> {
    const directory = mkdtempSync(join(tmpdir(), "rr-test-server-"));
    writeFileSync(join(directory, ".rr.yaml"), configFile(config));
    const command = [...through, node, await compiledRrctl(), name, ...argv];
    const child = spawn(command[0]!, command.slice(1), {
      cwd: directory,
      stdio: ["ignore", "ignore", "pipe"],
      // Whoever kills a test run does not want its servers to stay.
      env: { ...process.env, RRCTL_END_WITH_PARENT: "1", ...env },
    });
    const server = new ServerProcess(directory, child);
    running.add(server);
    return server;
  }

  /** Starts a server and waits until it serves. */
  static async start(
    config: ServerConfig = {},
    argv: readonly string[] = [],
    through: readonly string[] = [],
  ): Promise<ServerProcess> {
    const server = await ServerProcess.launch(config, argv, { through });
    await server.serving();
    return server;
  }

  /** Starts frontends alone. */
  static async startFrontend(config: ServerConfig, argv: readonly string[]): Promise<ServerProcess> {
    const server = await ServerProcess.launch(config, argv, { command: "frontend" });
    await server.serving("core");
    return server;
  }

  /** @param name of the last line that tells where it listens */
  async serving(name: "control" | "core" = "control"): Promise<void> {
    await eventually(
      "the server served",
      () => {
        if (this.#child.exitCode !== null) throw new Error(`the server ended:\n${this.output.join("\n")}`);
        return this.address(name);
      },
      START_LIMIT_MS,
    );
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** "http://127.0.0.1:port", without a slash at its end. */
  get httpUrl(): string {
    return this.address("http")!;
  }

  get httpPort(): number {
    return Number(new URL(this.httpUrl).port);
  }

  get controlAddress(): string {
    return this.address("control")!;
  }

  get client(): ReturnType<typeof connectCore> {
    this.#client ??= connectCore(this.controlAddress);
    return this.#client;
  }

  /** What the server says of where it listens: "http", "files", "control". */
  address(name: string): string | undefined {
    const pattern = new RegExp(`^ {2}${name} +(\\S+)`);
    for (const line of this.output) {
      const match = pattern.exec(line);
      if (match) return match[1];
    }
    return undefined;
  }

  /** The log so far. */
  get log(): ServerLogLine[] {
    return this.output.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as ServerLogLine);
  }

  logLine(matches: (line: ServerLogLine) => boolean, awaited = "the line was logged"): Promise<ServerLogLine> {
    return eventually(awaited, () => this.log.find(matches));
  }

  async workers(pool = "http"): Promise<Worker[]> {
    return (await this.client.workers.listWorkers({ pool })).workers;
  }

  async pids(pool = "http"): Promise<number[]> {
    return (await this.workers(pool)).map(({ pid }) => pid);
  }

  async pool(name = "http") {
    return (await this.client.pools.getPool({ pool: name })).pool!;
  }

  /** As many workers ready as wanted, none on its way. */
  async whole(name = "http"): Promise<void> {
    await eventually(`the pool "${name}" was whole`, async () => {
      const pool = await this.pool(name);
      const { workersReady, workersWanted, workersBooting, workersStopping, workersWorking } = pool;
      return workersReady === workersWanted && workersBooting + workersStopping + workersWorking === 0;
    });
  }

  async events(...types: EventType[]) {
    return (await this.client.events.listEvents({ filter: { types } })).events;
  }

  /** A signal to the server itself. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** How it ended; rejects if it does not. */
  ended(limitMs = STOP_LIMIT_MS): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return within(limitMs, "the server ended", this.#exited);
  }

  /** Ends it, and removes its directory. */
  async stop(): Promise<void> {
    running.delete(this);
    this.#client?.close();
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGTERM");
    try {
      await this.ended();
    } catch (thrown) {
      this.#child.kill("SIGKILL");
      throw new Error(`${(thrown as Error).message}; its last output:\n${this.output.slice(-20).join("\n")}`);
    } finally {
      rmSync(this.directory, { recursive: true, force: true });
    }
  }
}

const running = new Set<ServerProcess>();

/** For `after` and `afterEach`. */
export async function stopServers(): Promise<void> {
  await Promise.all([...running].map((server) => server.stop()));
}
