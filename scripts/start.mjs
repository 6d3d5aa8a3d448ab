// npm start: sets everything up, serves the demo application and says what to try next.
//
//   npm start [-- --http-port 8080 --control-port 6002]
import { spawn } from "node:child_process";
import { get } from "node:http";
import { createServer } from "node:net";
import { join, relative } from "node:path";
import { isMain, ROOT, runMain, SetupError, setUp, step } from "./setup.mjs";

const DEMO = join(ROOT, "php", "examples", "demo");
const CONTROL_PORT = 6002;
const HTTP_PORT = 8080;
const HOST = "127.0.0.1";
const PORTS_TRIED = 100;
const READY_WITHIN_MS = 60_000;
const PARENT_LOOK_EVERY_MS = 500;
/** How often a signal may reach this process for one wish: a terminal and npm both hand on one Ctrl-C. */
const SAME_WISH_MS = 500;

// Before anything else: Node's own answer to this signal is a debugger that every user of the machine can reach.
process.on("SIGUSR1", () => {});

async function main() {
  setUp({ php: true });
  const httpPort = await freePort(portArgument("--http-port") ?? HTTP_PORT, "HTTP");
  const controlPort = await freePort(portArgument("--control-port") ?? CONTROL_PORT, "gRPC", httpPort);
  step(`Serving ${relative(ROOT, DEMO)}`);
  const server = spawn(
    process.execPath,
    [
      join(ROOT, "dist", "cli", "main.js"),
      ...["serve", "-w", DEMO],
      ...["-o", `http.address=${HOST}:${httpPort}`, "-o", `control.listen=tcp://${HOST}:${controlPort}`],
    ],
    {
      stdio: ["ignore", "inherit", "inherit"],
      // A process group of its own: signals reach it through this process only, each once.
      detached: process.platform !== "win32",
      env: { ...process.env, RRCTL_END_WITH_PARENT: "1" },
    },
  );
  forwardSignals(server);
  endWithParent(server);
  const exited = new Promise((resolve) => {
    server.once("error", () => resolve(1));
    server.once("exit", (code) => resolve(code ?? 1));
  });
  const url = `http://${HOST}:${httpPort}/`;
  const served = await Promise.race([answers(url), exited.then(() => false)]);
  if (served) process.stdout.write(nextSteps(url, controlPort));
  return exited;
}

/** The port, or the next one that is free; says so if it is another one. */
async function freePort(wanted, use, taken = 0) {
  for (let port = wanted; port < wanted + PORTS_TRIED && port < 65_536; port++) {
    if (port === taken || !(await isFree(port))) continue;
    if (port !== wanted) step(`Port ${wanted} is in use: ${use} takes ${port} instead`);
    return port;
  }
  throw new SetupError(`No port from ${wanted} on is free for ${use}: end what uses them, or name another one.`);
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ host: HOST, port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

function portArgument(name) {
  const at = process.argv.indexOf(name);
  if (at === -1) return undefined;
  const port = Number(process.argv[at + 1]);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new SetupError(`${name}: expected a port from 1 to 65535, got "${process.argv[at + 1] ?? ""}"`);
}

function forwardSignals(child) {
  const lastAtMs = new Map();
  for (const signal of ["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"])
    process.on(signal, () => {
      const nowMs = performance.now();
      if (nowMs - (lastAtMs.get(signal) ?? Number.NEGATIVE_INFINITY) < SAME_WISH_MS) return;
      lastAtMs.set(signal, nowMs);
      child.kill(signal);
    });
}

/** npm hands SIGTERM to the shell between, which dies of it without a word: nobody is there to serve for then. */
function endWithParent(child) {
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event === undefined || parent <= 1) return;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    child.kill("SIGTERM");
  }, PARENT_LOOK_EVERY_MS);
  timer.unref();
}

/** Settles with true at the first answer, with false if none came in time. */
async function answers(url) {
  const untilMs = performance.now() + READY_WITHIN_MS;
  while (performance.now() < untilMs) {
    const ok = await new Promise((resolve) => {
      get(url, { agent: false, timeout: 5_000 }, (response) => {
        response.resume();
        resolve(true);
      })
        .on("timeout", function () {
          this.destroy();
        })
        .on("error", () => resolve(false));
    });
    if (ok) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

function nextSteps(url, controlPort) {
  const address = `${HOST}:${controlPort}`;
  // Every command finds the standard port by itself.
  const to = controlPort === CONTROL_PORT ? "" : ` --address ${address}`;
  const lines = [
    ["", ""],
    [`It works: ${url}`, ""],
    ["", ""],
    ["In another terminal, in this directory:", ""],
    [`  curl ${url}json`, "a request, as PHP sees it"],
    [`  npx rrctl workers -w${to}`, "watch the workers"],
    [`  npx rrctl scale http --workers 8${to}`, "more of them, while it serves"],
    [`  npx rrctl reset${to}`, "all new ones: after a change of the PHP code"],
    [`  npx rrctl events -f${to}`, "what happens"],
    [`  grpcurl -plaintext ${address} list`, "the same by gRPC, from any language"],
    [`  npx buf curl --http2-prior-knowledge --protocol grpc --list-methods http://${address}`, ""],
    ["", ""],
    [`The application is ${relative(ROOT, DEMO) || "."}; Ctrl-C ends the server.`, ""],
    ["", ""],
  ];
  const width = Math.max(...lines.filter(([, note]) => note).map(([command]) => command.length));
  return lines.map(([text, note]) => `${note ? `${text.padEnd(width)}  ${note}` : text}\n`).join("");
}

if (isMain(import.meta.url)) await runMain(main);
