import { type ChildProcessByStdio, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

/** `rrctl` as users start it, from the sources, and servers started by it. */

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const ARGUMENTS = ["--import", import.meta.resolve("tsx"), join(ROOT, "cli/main.ts")];
/** Longest that anything here may take before it is a failure. */
const LIMIT_MS = 15_000;

export const hasPhp = spawnSync("php", ["--version"]).status === 0;

export interface RunOptions {
  cwd: string;
  env?: Record<string, string>;
  input?: Uint8Array;
}

export interface RunResult {
  exitCode: number | null;
  out: Buffer;
  err: string;
}

export type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** A running `rrctl`; the caller sees to its end. */
export function spawnRrctl(argv: readonly string[], { cwd, env }: RunOptions): Child {
  // Nothing of the caller's environment decides: no address, no colours.
  const { RRCTL_ADDRESS: _address, FORCE_COLOR: _force, ...inherited } = process.env;
  return spawn(process.execPath, [...ARGUMENTS, ...argv], {
    cwd,
    env: { ...inherited, ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

/** Runs `rrctl` to its end. */
export async function rrctl(argv: readonly string[], options: RunOptions): Promise<RunResult> {
  const child = spawnRrctl(argv, options);
  child.stdin.end(options.input);
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const [out, err, exitCode] = await Promise.all([collect(child.stdout), collect(child.stderr), ended(child)]);
  clearTimeout(timer);
  return { exitCode, out, err: err.toString() };
}

export function ended(child: Child): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once("exit", (exitCode) => resolve(exitCode)));
}

export async function collect(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The lines of a stream as they come; `until` rejects if the stream ends first. */
export class Lines {
  readonly seen: string[] = [];
  readonly #iterator: AsyncIterator<string>;

  constructor(stream: Readable) {
    this.#iterator = createInterface({ input: stream })[Symbol.asyncIterator]();
  }

  async until(matches: (line: string) => boolean): Promise<string> {
    for (;;) {
      const { done, value } = await this.#iterator.next();
      if (done) throw new Error(`the output ended before the line came:\n${this.seen.join("\n")}`);
      this.seen.push(value);
      if (matches(value)) return value;
    }
  }
}

export interface Server {
  directory: string;
  pid: number;
  /** Of the control API. */
  address: string;
  /** Undefined without an http section. */
  httpUrl: string | undefined;
  child: Child;
  /** Runs `rrctl` against this server. */
  run(...argv: string[]): Promise<RunResult>;
  /** The same with -o json; the answer parsed. */
  data<Data = Record<string, unknown>>(...argv: string[]): Promise<Data>;
  /** Ends it the hard way, if it still runs, and removes its directory. */
  dispose(): Promise<void>;
}

/** A worker with this repository's PHP library: echoes, sleeps when told to. */
const ECHO_WORKER = `<?php
require ${JSON.stringify(join(ROOT, "php/autoload.php"))};
$worker = Rrctl\\Worker::create();
while ($payload = $worker->waitPayload()) {
    if (str_starts_with($payload->body, 'sleep')) {
        sleep(60);
    }
    $worker->respond($payload);
}
`;

/** Two pools, "http" and "echo", on a free port and a control socket in its directory. `files` come on top, by their path. */
export async function startServer(argv: readonly string[] = [], files: Record<string, string> = {}): Promise<Server> {
  const directory = await mkdtemp(join(tmpdir(), "rrctl-e2e-"));
  const all: Record<string, string> = {
    "echo.php": ECHO_WORKER,
    ".rr.yaml": [
      'version: "3"',
      "server:",
      `  command: php ${join(ROOT, "php/examples/hello.php")}`,
      "http:",
      "  address: 127.0.0.1:0",
      "  pool:",
      "    num_workers: 2",
      "pools:",
      "  echo:",
      "    command: php echo.php",
      "    num_workers: 1",
      "control:",
      "  listen: unix://control.sock",
      "",
    ].join("\n"),
    ...files,
  };
  for (const [path, text] of Object.entries(all)) await writeFile(join(directory, path), text);
  return serveIn(directory, argv);
}

/** `rrctl serve` in a directory that is there; resolves when it serves. */
export async function serveIn(directory: string, argv: readonly string[] = []): Promise<Server> {
  const child = spawnRrctl(["serve", ...argv], { cwd: directory });
  const lines = new Lines(child.stderr);
  child.stdout.resume();
  await lines.until((line) => /^ {2}control +/.test(line));
  const find = (name: string) =>
    lines.seen.flatMap((line) => new RegExp(`^ {2}${name} +(\\S+)`).exec(line)?.[1] ?? [])[0];
  // Read on: a full pipe would stop the server.
  void lines.until(() => false).catch(() => undefined);
  const address = find("control")!;
  const run = (...words: string[]) => rrctl([...words, "--address", address], { cwd: directory });
  return {
    directory,
    pid: child.pid!,
    address,
    httpUrl: find("http"),
    child,
    run,
    data: async (...words) => {
      const { exitCode, out, err } = await run(...words, "-o", "json");
      if (exitCode !== 0) throw new Error(`rrctl ${words.join(" ")} ended with ${exitCode}: ${err}`);
      return JSON.parse(out.toString());
    },
    dispose: async () => {
      const exit = ended(child);
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
      await exit;
      clearTimeout(timer);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Whether a shell is here to try a completion script with. */
export function hasShell(name: string): boolean {
  try {
    execFileSync(name, ["-c", "exit 0"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
