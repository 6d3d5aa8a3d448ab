// Large bodies, fast and slow: how much memory the server takes above what it has when it is idle.
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { step } from "../scripts/setup.mjs";
import { memoryBytes } from "./processes.mjs";
import { ROOT } from "./root.mjs";
import { startServer } from "./server.mjs";
import { megabytes } from "./table.mjs";

/** A slow client rests after so many bytes. */
const REST_AFTER_BYTES = 8 * 1024 * 1024;
const REST_MS = 60;
const SAMPLE_MS = 50;

const WORKER = `<?php
require '${ROOT.replaceAll("\\", "/")}/php/autoload.php';
$http = new Rrctl\\Http\\HttpWorker(Rrctl\\Worker::create());
while ($request = $http->waitRequest()) {
    $bytes = (int) ($request->query['bytes'] ?? 0);
    $http->respond(200, (static function () use ($bytes) {
        $piece = str_repeat('x', 65536);
        for ($sent = 0; $sent < $bytes; $sent += 65536) {
            yield $piece;
        }
    })(), ['Content-Type' => 'application/octet-stream']);
}
`;

/** Rows of the table. */
export async function measureTransfers(plan) {
  const bytes = plan.transferBytes;
  const server = await startServer({
    http: "php transfers.php",
    files: { "transfers.php": WORKER },
  });
  const rows = [];
  try {
    const run = { download };
    // What is needed once is no cost of the size.
    for (const transfer of Object.values(run)) await transfer(server.url, 16 * 1024 * 1024, 0);
    for (const [name, transfer] of Object.entries(run))
      for (const [speed, restMs] of [
        ["fast", 0],
        ["slow", REST_MS],
      ]) {
        const title = `${bytes / 2 ** 20} MB ${name}, ${speed}`;
        step(title);
        const processes = (await server.processes()).filter((one) => one.name !== "PHP worker");
        const peaks = watchMemory(processes);
        const startedAtMs = performance.now();
        await transfer(server.url, bytes, restMs);
        const seconds = (performance.now() - startedAtMs) / 1000;
        for (const [process, grownBytes] of peaks.stop())
          rows.push([`${title}: peak memory above idle`, process, megabytes(grownBytes), ...["", "", ""], "≤ 64 MB"]);
        rows.push([`${title}: rate`, "one client", `${Math.round(bytes / 2 ** 20 / seconds)} MB/s`]);
      }
  } finally {
    await server.stop();
  }
  return rows;
}

/** The largest growth of each process until `stop`. */
function watchMemory(processes) {
  const before = processes.map(({ pid }) => memoryBytes(pid)?.resident);
  const peaks = [...before];
  const sample = () => {
    for (const [at, { pid }] of processes.entries())
      peaks[at] = Math.max(peaks[at] ?? 0, memoryBytes(pid)?.resident ?? 0);
  };
  const timer = setInterval(sample, SAMPLE_MS);
  return {
    stop() {
      clearInterval(timer);
      sample();
      return processes.map(({ name }, at) => [name, before[at] === undefined ? undefined : peaks[at] - before[at]]);
    },
  };
}

async function download(url, bytes, restMs) {
  const outgoing = request(`${url}?bytes=${bytes}`, { agent: false });
  const answer = answerOf(outgoing);
  outgoing.end();
  const incoming = await answer;
  let received = 0;
  let rested = 0;
  for await (const part of incoming) {
    received += part.length;
    if (restMs > 0 && received - rested >= REST_AFTER_BYTES) {
      rested = received;
      await sleep(restMs);
    }
  }
  if (received !== bytes) throw new Error(`${received} of ${bytes} bytes of a download came`);
}

function answerOf(outgoing) {
  return new Promise((resolve, reject) => {
    outgoing.once("response", resolve);
    outgoing.once("error", reject);
  });
}
