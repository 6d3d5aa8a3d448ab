import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compiledRrctl } from "../support/compiled-server.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { phpFixture } from "../support/php.ts";

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 45_000;

/** A folder of one scenario: temporary files and sockets of its servers are all in it, so that what is left is seen. */
export class Place {
  readonly folder = mkdtempSync(join(tmpdir(), "rr-faults-"));
  readonly temporary = join(this.folder, "tmp");
  readonly runtime = join(this.folder, "run");

  constructor() {
    mkdirSync(this.temporary);
    mkdirSync(this.runtime, { mode: 0o700 });
  }

  get env(): NodeJS.ProcessEnv {
    return { ...process.env, TMPDIR: this.temporary, XDG_RUNTIME_DIR: this.runtime, RUNTIME_DIRECTORY: undefined };
  }

  /** What servers have left there. */
  leftovers(): string[] {
    const names = (folder: string) => readdirSync(folder, { recursive: true, encoding: "utf8" });
    return [...names(this.temporary), ...names(this.runtime)];
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

export interface ProgramOptions {
  readonly place: Place;
  readonly config: Record<string, unknown>;
  readonly argv: readonly string[];
  /** "closed": the descriptor is there and nobody reads it. */
  readonly stderr?: "kept" | "closed";
}

/** `rrctl serve` or `rrctl frontend`, started again and again with the same configuration. */
export class Program {
  readonly #options: ProgramOptions;
  readonly #configFile: string;
  #child: ChildProcess | undefined;
  output = "";

  readonly name: string;

  constructor(options: ProgramOptions, name: string) {
    this.#options = options;
    this.name = name;
    const folder = join(options.place.folder, name);
    mkdirSync(folder, { recursive: true });
    this.#configFile = join(folder, ".rr.yaml");
    writeFileSync(this.#configFile, JSON.stringify(options.config));
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  get alive(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  async start(): Promise<void> {
    const { place, argv, stderr } = this.#options;
    const [command, ...rest] = argv;
    this.#child = spawn(process.execPath, [await compiledRrctl(), command!, "-c", this.#configFile, ...rest], {
      env: place.env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child.stderr!.on("data", (chunk) => {
      this.output = (this.output + chunk).slice(-20_000);
    });
    if (stderr === "closed") this.#child.stderr!.destroy();
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child!;
    const exited = once(child, "exit");
    child.kill(signal);
    if (this.alive) await exited;
  }

  /** Ends it in order. Throws if it does not, or leaves processes behind. */
  async stop(): Promise<void> {
    if (!this.alive) return;
    const family = descendants(this.pid);
    const timer = setTimeout(() => this.#child!.kill("SIGKILL"), STOP_LIMIT_MS);
    await this.kill("SIGTERM");
    clearTimeout(timer);
    if (this.#child!.signalCode === "SIGKILL") throw new Error(`it did not stop within ${STOP_LIMIT_MS} ms`);
    await eventually("all its processes had ended", () => family.every((pid) => !isRunning(pid)), 5_000);
  }

  /** Waits until it has told where it listens: all of it has started then. */
  async started(): Promise<void> {
    await eventually(`${this.name} had started`, () => / serves /.test(this.output), START_LIMIT_MS);
  }

  /** Waits until it answers. */
  async serves(url: string): Promise<void> {
    await eventually(
      `${url} answered`,
      async () => {
        if (!this.alive) throw new Error(`it ended: ${this.output.slice(-2000)}`);
        const answer = await send(`${url}/page?token=first&bytes=1`).catch(() => undefined);
        return answer?.status === 200;
      },
      START_LIMIT_MS,
    );
  }
}

export function stormConfig(port: number, more: Record<string, unknown> = {}): Record<string, unknown> {
  const { http, ...rest } = more as { http?: Record<string, unknown> };
  return {
    version: "3",
    server: { command: `php ${phpFixture("storm.php")}` },
    http: {
      address: `127.0.0.1:${port}`,
      ...http,
      pool: { num_workers: 4, supervisor: { exec_ttl: "10s" }, ...(http?.pool as object | undefined) },
    },
    logs: { mode: "production", encoding: "json", level: "info" },
    endure: { grace_period: "10s" },
    ...rest,
  };
}

/** All processes below one, as the system tells. */
export function descendants(pid: number): number[] {
  const children = childrenOf(pid);
  return [...children, ...children.flatMap(descendants)];
}

export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return text === "" ? [] : text.split(" ").map(Number);
  } catch {
    return [];
  }
}

export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
