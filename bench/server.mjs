// A server as users start it: `rrctl serve` from the build, with a configuration of its own in a temporary directory.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ProcessRole } from "../dist/gen/roadrunner/server/v1/server_service_pb.js";
import { connectCore } from "../dist/src/client/core-client.js";
import { childrenOf, cpuMs } from "./processes.mjs";
import { ROOT } from "./root.mjs";

const START_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 10_000;
const POLL_MS = 3;

/**
 * Starts a server and waits until it serves. `http` and `pools` are commands of PHP workers; each pool has two.
 * `files` are written beside the configuration, `links` are made there; `httpLines` are further keys of the HTTP section.
 */
export async function startServer({ http, pools = {}, files = {}, links = {}, workers = 2, httpLines = [] }) {
  const directory = mkdtempSync(join(tmpdir(), "rr-bench-"));
  const port = http ? await freePort() : undefined;
  const poolLines = Object.entries(pools).flatMap(([name, command]) => [
    `  ${name}:`,
    `    command: ${command}`,
    `    num_workers: ${workers}`,
  ]);
  const configuration = [
    'version: "3"',
    "server:",
    `  command: ${http ?? Object.values(pools)[0]}`,
    ...(http ? ["http:", `  address: 127.0.0.1:${port}`, ...httpLines, "  pool:", `    num_workers: ${workers}`] : []),
    ...(poolLines.length > 0 ? ["pools:", ...poolLines] : []),
    "control:",
    "  listen: tcp://127.0.0.1:0",
    "logs:",
    "  level: warn",
    "",
  ].join("\n");
  for (const [name, text] of Object.entries({ ".rr.yaml": configuration, ...files }))
    writeFileSync(join(directory, name), text);
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(directory, name));

  const startedAtMs = performance.now();
  const child = spawn(process.execPath, [join(ROOT, "dist", "cli", "main.js"), "serve"], {
    cwd: directory,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, RRCTL_END_WITH_PARENT: "1" },
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const firstResponse = port ? firstOk(`http://127.0.0.1:${port}/`, startedAtMs) : Promise.resolve(undefined);
  const { address, output } = await controlAddress(child);
  if (!address) {
    rmSync(directory, { recursive: true, force: true });
    throw new Error(`the server did not start:\n${output}`);
  }
  return {
    directory,
    pid: child.pid,
    /** Of the gRPC API, as host:port. */
    address,
    url: port ? `http://127.0.0.1:${port}/` : undefined,
    firstResponseMs: await firstResponse,
    /** Processes by what they are. */
    processes: () => processesOf(address),
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
      await exited;
      clearTimeout(timer);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** CPU time of named processes between two calls, in milliseconds. */
export function cpuMeter(processes) {
  const before = processes.map(({ pid }) => cpuMs(pid));
  return () => {
    const used = new Map();
    for (const [at, { name, pid }] of processes.entries()) {
      const now = cpuMs(pid);
      if (now !== undefined && before[at] !== undefined) used.set(name, (used.get(name) ?? 0) + now - before[at]);
    }
    return used;
  };
}

export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Milliseconds from `startedAtMs` to the first response with status 200. */
export async function firstOk(url, startedAtMs) {
  while (performance.now() - startedAtMs < START_WITHIN_MS) {
    const status = await new Promise((resolve) => {
      get(url, { agent: false }, (response) => {
        response.resume();
        response.once("end", () => resolve(response.statusCode));
      }).on("error", () => resolve(0));
    });
    if (status === 200) return performance.now() - startedAtMs;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`no response with status 200 from ${url} within ${START_WITHIN_MS} ms`);
}

async function controlAddress(child) {
  const lines = [];
  const reader = createInterface({ input: child.stderr });
  const address = await new Promise((resolve) => {
    reader.on("line", (line) => {
      if (lines.push(line) > 40) lines.shift();
      const match = /^ {2}control +tcp:\/\/(\S+)/.exec(line);
      if (match) resolve(match[1]);
    });
    reader.once("close", () => resolve(undefined));
  });
  return { address, output: lines.join("\n") };
}

async function processesOf(address) {
  const core = connectCore(address);
  try {
    const { processes } = await core.server.getServerInfo({});
    const { workers } = await core.workers.listWorkers({});
    return [
      ...processes.map(({ pid, role }) => ({ name: role === ProcessRole.CORE ? "core" : "HTTP frontend", pid })),
      ...workers.map(({ pid }) => ({ name: "PHP worker", pid })),
    ];
  } finally {
    core.close();
  }
}

/** A process and its children, under two names. */
export function processFamily(pid, names) {
  return [{ name: names.parent, pid }, ...childrenOf(pid).map((child) => ({ name: names.child, pid: child }))];
}
