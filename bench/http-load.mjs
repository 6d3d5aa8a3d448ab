// HTTP load from a process of its own: wrk where it is installed, autocannon otherwise (slower itself, so that its
// figures say less about the server; its latencies are whole milliseconds).
import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "./root.mjs";

const run = promisify(execFile);

/** wrk prints its version on standard error, with exit code 1. */
export const loadProgram = spawnSync("wrk", ["-v"]).error ? "autocannon" : "wrk";

/**
 * Requests as fast as answers come, over so many connections. Resolves with requests per second, latencies in
 * milliseconds and the number of answers that were not 2xx or did not come.
 */
export function loadHttp(url, { connections, seconds }) {
  return loadProgram === "wrk" ? wrk(url, connections, seconds) : autocannon(url, connections, seconds);
}

async function wrk(url, connections, seconds) {
  const { stdout } = await run("wrk", ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", url]);
  const number = (pattern) => Number(pattern.exec(stdout)?.[1] ?? 0);
  const socketErrors = /Socket errors: (.*)/.exec(stdout)?.[1].match(/\d+/g) ?? [];
  return {
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    requests: number(/(\d+) requests in/),
    p50Ms: durationMs(/\s50%\s+(\S+)/.exec(stdout)?.[1]),
    p99Ms: durationMs(/\s99%\s+(\S+)/.exec(stdout)?.[1]),
    failed: number(/Non-2xx or 3xx responses: (\d+)/) + socketErrors.reduce((sum, count) => sum + Number(count), 0),
  };
}

/** "812.00us", "1.25ms" or "1.02s" in milliseconds. */
function durationMs(text) {
  const match = /^([\d.]+)(us|ms|s)$/.exec(text ?? "");
  return match ? Number(match[1]) * { us: 0.001, ms: 1, s: 1000 }[match[2]] : undefined;
}

async function autocannon(url, connections, seconds) {
  const program = join(ROOT, "node_modules", "autocannon", "autocannon.js");
  const { stdout } = await run(process.execPath, [
    program,
    "-j",
    "-n",
    "-c",
    String(connections),
    "-d",
    String(seconds),
    url,
  ]);
  const result = JSON.parse(stdout);
  return {
    perSecond: result.requests.average,
    requests: result.requests.total,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    failed: result.non2xx + result.errors + result.timeouts,
  };
}
