// npm run bench [-- --quick]: one table of what the server does on this machine. Prints, judges nothing, and ends with 0
// unless something does not work at all. The load comes from processes on the same machine, so figures are for
// comparison within one run only.
//
// RoadRunner's own PHP packages are measured too where they are: spiral/roadrunner-worker, spiral/roadrunner-http and
// nyholm/psr7, in vendor/ of the directory RR_OFFICIAL_PACKAGES or where the compatibility suite has put them.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { runMain, setUp, step } from "../scripts/setup.mjs";
import { ROOT } from "./root.mjs";
import { megabytes, microseconds, milliseconds, rate, ratio, renderTable } from "./table.mjs";

/** Two PHP processes everywhere: the comparison is about what is around them. */
const PHP_PROCESSES = 2;
const CONNECTIONS = [1, 32, 128];
const COMPARED_CONNECTIONS = 32;
/** Above it something else runs on the machine. */
const LOAD_AVERAGE_QUIET = 0.5;
const OURS = "our worker";
const OFFICIAL = "official worker";
const FPM = "nginx + php-fpm";

const run = promisify(execFile);

async function main() {
  const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
  setUp({ php: true });
  // Before figures count: Node compiles what is used often, and its memory finds its size.
  const plan = values.quick
    ? { seconds: 2, warmUpSeconds: 2, repeats: 1, transferBytes: 128 * 2 ** 20 }
    : { seconds: 5, warmUpSeconds: 4, repeats: 3, transferBytes: 2 ** 30 };
  const [loadBefore] = loadavg();
  const official = officialWorkers();
  const rows = [
    ...(await measurePools(plan, official)),
    ...(await measureDispatch(plan)),
    ...(await measureHttp(plan, official)),
    ...(await measureFurther(plan)),
  ];
  if (loadBefore > LOAD_AVERAGE_QUIET)
    notes.push(
      `The machine was busy with other things (load average ${loadBefore.toFixed(1)}): all figures are too low.`,
    );
  process.stdout.write(`\n${await machine()}\n\n${renderTable(rows)}`);
  for (const note of notes) process.stdout.write(`\n${note}\n`);
}

const notes = [];

/** Scripts of workers with RoadRunner's own packages and where these are, or undefined. */
function officialWorkers() {
  const place = process.env.RR_OFFICIAL_PACKAGES ?? join(ROOT, ".cache", "official");
  // The place itself, or sets of versions in it, as the compatibility suite installs them: the last one is the newest.
  const names = existsSync(place) ? readdirSync(place).sort().reverse() : [];
  const vendor = [".", ...names]
    .map((name) => join(place, name, "vendor"))
    .find((path) => existsSync(join(path, "autoload.php")));
  if (!vendor) {
    notes.push(
      `The official worker was not measured: there are no packages of RoadRunner in ${place} (RR_OFFICIAL_PACKAGES).`,
    );
    return undefined;
  }
  const head = "<?php\nrequire __DIR__ . '/vendor/autoload.php';\n";
  return {
    vendor,
    echo: `${head}$worker = Spiral\\RoadRunner\\Worker::create();
while ($payload = $worker->waitPayload()) {
    $worker->respond($payload);
}
`,
    psr7: `${head}$factory = new Nyholm\\Psr7\\Factory\\Psr17Factory();
$psr7 = new Spiral\\RoadRunner\\Http\\PSR7Worker(Spiral\\RoadRunner\\Worker::create(), $factory, $factory, $factory);
while ($request = $psr7->waitRequest()) {
    $psr7->respond(new Nyholm\\Psr7\\Response(200, ['Content-Type' => 'text/plain; charset=utf-8'], "Hello World!\\n"));
}
`,
  };
}

async function measurePools(plan, official) {
  const rows = [];
  const measure = async (of, script) => {
    step(`Pool executions, ${of}`);
    const result = await load("pool-load.mjs", { command: ["php", script], inFlight: 32, ...plan });
    rows.push(["Pool executions, 32 in flight", of, ...figures(result)]);
  };
  await measure(OURS, join(ROOT, "php", "examples", "echo.php"));
  if (!official) return rows;
  const directory = mkdtempSync(join(tmpdir(), "rr-bench-"));
  writeFileSync(join(directory, "echo.php"), official.echo);
  symlinkSync(official.vendor, join(directory, "vendor"));
  await measure(OFFICIAL, join(directory, "echo.php"));
  rmSync(directory, { recursive: true, force: true });
  return rows;
}

async function measureDispatch(plan) {
  const { startServer } = await import("./server.mjs");
  const server = await startServer({ pools: { echo: `php ${join(ROOT, "php", "examples", "echo.php")}` } });
  const rows = [];
  try {
    for (const [mode, name, inFlight, aim] of [
      ["stream", "DispatchStream", 32, "≥ 30,000/s"],
      ["stream", "DispatchStream", 256, "≥ 30,000/s"],
      ["unary", "Dispatch (unary)", 1, ""],
      ["unary", "Dispatch (unary)", 32, ""],
    ]) {
      step(`${name}, ${inFlight} in flight`);
      const { address } = server;
      const result = await load("dispatch-load.mjs", { address, pool: "echo", mode, inFlight, ...plan });
      rows.push([`${name}, ${inFlight} in flight`, OURS, ...figures(result), "", aim]);
    }
  } finally {
    await server.stop();
  }
  return rows;
}

/**
 * Runs a load script and resolves with the median of its results: on few processors the rate of the same thing can
 * double or halve by where the system happens to run whom.
 */
async function load(script, { repeats, ...options }) {
  const results = [];
  while (results.length < repeats) {
    const { stdout } = await run(process.execPath, [join(ROOT, "bench", script), JSON.stringify(options)]);
    const result = JSON.parse(stdout);
    if (result.failed > 0) notes.push(`${script} ${JSON.stringify(options)}: ${result.failed} calls failed.`);
    results.push(result);
  }
  return results.sort((one, other) => one.perSecond - other.perSecond)[Math.floor(repeats / 2)];
}

function figures({ perSecond, p50Ms, p99Ms }) {
  return [rate(perSecond), milliseconds(p50Ms), milliseconds(p99Ms)];
}

/** All that is said about HTTP: rates, processor time, memory, start. nginx + php-fpm first: others are compared with it. */
async function measureHttp(plan, official) {
  const { startServer } = await import("./server.mjs");
  const { missingForFpm, startFpm } = await import("./fpm.mjs");
  const hello = `php ${join(ROOT, "php", "examples", "hello.php")}`;
  const results = new Map();
  const missing = missingForFpm();
  if (missing) notes.push(`${FPM} was not compared: ${missing} is not installed.`);
  else results.set(FPM, await measureServer(await startFpm(PHP_PROCESSES), FPM, plan));
  results.set(OURS, await measureServer(await startServer({ http: hello }), OURS, plan));
  if (official) {
    const { psr7, vendor } = official;
    const server = await startServer({ http: "php psr7.php", files: { "psr7.php": psr7 }, links: { vendor } });
    results.set(OFFICIAL, await measureServer(server, OFFICIAL, plan));
  }
  const starts = [results.get(OURS).firstResponseMs];
  while (starts.length < plan.repeats) {
    step(`Start, ${starts.length + 1} of ${plan.repeats}`);
    const server = await startServer({ http: hello });
    starts.push(server.firstResponseMs);
    await server.stop();
  }
  return [
    ...rateRows(results),
    ...cpuRows(results),
    ...memoryRows(results),
    ["Start to first response, median", OURS, milliseconds(median(starts)), "", "", "", "≤ 1500 ms"],
  ];
}

/** Loads a server that was just started, and ends it. */
async function measureServer(server, name, plan) {
  const { loadHttp } = await import("./http-load.mjs");
  const { cpuMeter } = await import("./server.mjs");
  const { memoryBytes } = await import("./processes.mjs");
  try {
    await loadHttp(server.url, { connections: COMPARED_CONNECTIONS, seconds: Math.ceil(plan.warmUpSeconds) });
    const processes = await server.processes();
    const loads = new Map();
    let cpuPerRequest = new Map();
    for (const connections of CONNECTIONS) {
      step(`HTTP, ${name}, ${plural(connections, "connection")}`);
      const usedCpu = cpuMeter(processes);
      const result = await loadHttp(server.url, { connections, seconds: plan.seconds });
      loads.set(connections, result);
      if (result.failed > 0) notes.push(`HTTP, ${name}, ${connections} connections: ${result.failed} requests failed.`);
      if (connections === COMPARED_CONNECTIONS)
        cpuPerRequest = new Map([...usedCpu()].map(([process, ms]) => [process, (ms * 1000) / result.requests]));
    }
    const memory = processes.map((process) => ({ name: process.name, ...memoryBytes(process.pid) }));
    return { loads, cpuPerRequest, memory, firstResponseMs: server.firstResponseMs };
  } finally {
    await server.stop();
  }
}

const HTTP_AIMS = { 1: "p50 ≤ 0.5 ms", 32: "× ≥ 1" };

function rateRows(results) {
  return CONNECTIONS.flatMap((connections) =>
    [...results].map(([name, { loads }]) => {
      const result = loads.get(connections);
      const compared = name === FPM ? "" : ratio(result.perSecond, results.get(FPM)?.loads.get(connections).perSecond);
      const aim = name === OURS ? HTTP_AIMS[connections] : "";
      return [`HTTP hello, ${plural(connections, "connection")}`, name, ...figures(result), compared, aim];
    }),
  );
}

function cpuRows(results) {
  const title = `CPU time per request, ${COMPARED_CONNECTIONS} connections`;
  const sumOf = (result) => result && [...result.cpuPerRequest.values()].reduce((sum, one) => sum + one, 0);
  return [...results].flatMap(([name, result]) => [
    ...[...result.cpuPerRequest].map(([process, used]) => [title, `${name}: ${process}`, microseconds(used)]),
    [
      title,
      `${name}: together`,
      microseconds(sumOf(result)),
      ...["", ""],
      name === FPM ? "" : ratio(sumOf(result), sumOf(results.get(FPM))),
    ],
  ]);
}

function memoryRows(results) {
  return [...results].flatMap(([name, { memory }]) => {
    const names = [...new Set(memory.map((process) => process.name))];
    const rows = names.map((process) => {
      const found = memory.filter((one) => one.name === process);
      const each = found.length > 1 ? `, ${found.length} of them` : "";
      return [
        "Memory after the load (resident; proportional)",
        `${name}: ${process}${each}`,
        `${megabytes(sum(found, "resident"))}; ${megabytes(sum(found, "proportional"))}`,
      ];
    });
    const node = memory.filter((one) => one.name === "core" || one.name === "HTTP frontend");
    if (node.length > 0)
      rows.push([
        "Memory after the load (resident; proportional)",
        `${name}: core and frontend`,
        `${megabytes(sum(node, "resident"))}; ${megabytes(sum(node, "proportional"))}`,
        ...["", "", ""],
        "≤ 160 MB",
      ]);
    return rows;
  });
}

/** Undefined where the system does not tell. */
function sum(processes, key) {
  return processes.reduce((total, one) => (one[key] === undefined ? undefined : total + one[key]), 0);
}

/** Static files and large bodies. */
async function measureFurther(plan) {
  const { measureStaticFiles } = await import("./static-files.mjs");
  const { measureTransfers } = await import("./transfers.mjs");
  return [...(await measureStaticFiles(plan, notes)), ...(await measureTransfers(plan))];
}

function median(values) {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
}

function plural(count, thing) {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}

async function machine() {
  const { loadProgram } = await import("./http-load.mjs");
  const php = (await run("php", ["-r", "echo PHP_VERSION;"])).stdout;
  const processors = cpus();
  return (
    `${processors.length} × ${processors[0]?.model.trim() ?? "unknown processor"}, ${process.platform}, ` +
    `Node ${process.versions.node}, PHP ${php}, ${PHP_PROCESSES} PHP processes everywhere, load by ${loadProgram}`
  );
}

await runMain(main);
