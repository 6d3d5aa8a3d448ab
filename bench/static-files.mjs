// Static files next to nginx with the same tree.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { step } from "../scripts/setup.mjs";
import { loadHttp } from "./http-load.mjs";
import { endProgram, failedStart, nginxProgram, startNginx } from "./nginx.mjs";
import { ROOT } from "./root.mjs";
import { cpuMeter, firstOk, freePort, processFamily, startServer } from "./server.mjs";
import { microseconds, milliseconds, rate, ratio } from "./table.mjs";

const CONNECTIONS = 64;
const NGINX = "nginx";
const OURS = "HTTP frontend";
/** A style sheet, a picture, a download. */
const FILES = { "style.css": 4 * 1024, "picture.png": 128 * 1024, "archive.bin": 4 * 1024 * 1024 };

/** Rows of the table; a note where nginx is not there to compare with. */
export async function measureStaticFiles(plan, notes) {
  const directory = mkdtempSync(join(tmpdir(), "rr-bench-static-"));
  const tree = join(directory, "public");
  mkdirSync(tree);
  for (const [name, bytes] of Object.entries(FILES)) writeFileSync(join(tree, name), Buffer.alloc(bytes, name));
  try {
    const results = new Map();
    if (nginxProgram())
      results.set(NGINX, await measureServer(await serveByNginx(directory, tree), NGINX, plan, notes));
    else notes.push("Static files were not compared: nginx is not installed.");
    results.set(OURS, await measureServer(await serveByUs(tree), OURS, plan, notes));
    return Object.keys(FILES).flatMap((file) => rowsOf(file, results));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function rowsOf(file, results) {
  const title = `Static file of ${FILES[file] / 1024} KB, ${CONNECTIONS} connections`;
  const reference = results.get(NGINX)?.get(file);
  return [...results].flatMap(([name, files]) => {
    const { perSecond, p50Ms, p99Ms, cpuMicroseconds } = files.get(file);
    const compare = (value, with_) => (name === NGINX ? "" : ratio(value, with_));
    return [
      [
        title,
        name,
        rate(perSecond),
        milliseconds(p50Ms),
        milliseconds(p99Ms),
        compare(perSecond, reference?.perSecond),
      ],
      [
        `${title}: CPU time per request`,
        name,
        microseconds(cpuMicroseconds),
        ...["", ""],
        compare(cpuMicroseconds, reference?.cpuMicroseconds),
      ],
    ];
  });
}

async function measureServer(server, name, plan, notes) {
  const results = new Map();
  try {
    for (const file of Object.keys(FILES)) {
      step(`Static file ${file}, ${name}`);
      const url = `${server.url}${file}`;
      await loadHttp(url, { connections: CONNECTIONS, seconds: 1 });
      const usedCpu = cpuMeter(await server.processes());
      const result = await loadHttp(url, { connections: CONNECTIONS, seconds: plan.seconds });
      const cpuMs = [...usedCpu().values()].reduce((sum, one) => sum + one, 0);
      results.set(file, { ...result, cpuMicroseconds: (cpuMs * 1000) / result.requests });
      if (result.failed > 0) notes.push(`Static file ${file}, ${name}: ${result.failed} requests failed.`);
    }
  } finally {
    await server.stop();
  }
  return results;
}

async function serveByNginx(directory, tree) {
  const port = await freePort();
  const nginx = startNginx(directory, port, `    root ${tree};`);
  const url = `http://127.0.0.1:${port}/`;
  await Promise.race([firstOk(`${url}style.css`, performance.now()), failedStart(nginx)]);
  return {
    url,
    processes: () => processFamily(nginx.child.pid, { parent: NGINX, child: NGINX }),
    stop: () => endProgram(nginx),
  };
}

function serveByUs(tree) {
  return startServer({
    http: `php ${join(ROOT, "php", "examples", "hello.php")}`,
    httpLines: ["  middleware: [static]", "  static:", `    dir: ${tree}`],
  });
}
