// Large bodies both ways, fast and slow: how much memory the server takes above what it has when it is idle.
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { step } from "../scripts/setup.mjs";
import { memoryBytes } from "./processes.mjs";
import { ROOT } from "./root.mjs";
import { startServer } from "./server.mjs";
import { megabytes } from "./table.mjs";

const CHUNK_BYTES = 64 * 1024;
/** A slow client rests after so many bytes. */
const REST_AFTER_BYTES = 8 * 1024 * 1024;
const REST_MS = 60;
const SAMPLE_MS = 50;

const WORKER = `<?php
require '${ROOT.replaceAll("\\", "/")}/php/autoload.php';
$http = new Rrctl\\Http\\HttpWorker(Rrctl\\Worker::create());
while ($request = $http->waitRequest()) {
    if ($request->uploads !== []) {
        $file = $request->uploads['file'];
        $http->respond(200, $file['size'] . ' ' . filesize($file['tmpName']));
        continue;
    }
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
    httpLines: ["  max_request_size: 2GB"],
  });
  const rows = [];
  try {
    const run = { upload, download };
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

async function upload(url, bytes, restMs) {
  const boundary = "benchmark-boundary";
  const head = Buffer.from(
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n` +
      "Content-Type: application/octet-stream\r\n\r\n",
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const outgoing = request(url, {
    method: "POST",
    agent: false,
    headers: {
      "content-type": `multipart/form-data; boundary=${boundary}`,
      "content-length": head.length + bytes + tail.length,
    },
  });
  const answer = answerOf(outgoing);
  // The write below may fail before anyone waits for the answer.
  answer.catch(() => {});
  const chunk = Buffer.alloc(CHUNK_BYTES, "u");
  outgoing.write(head);
  for (let sent = 0; sent < bytes; sent += CHUNK_BYTES) {
    if (!outgoing.write(chunk)) await new Promise((resolve) => outgoing.once("drain", resolve));
    if (restMs > 0 && sent % REST_AFTER_BYTES === 0) await sleep(restMs);
  }
  outgoing.end(tail);
  const incoming = await answer;
  let text = "";
  for await (const part of incoming) text += part;
  if (text !== `${bytes} ${bytes}`)
    throw new Error(`an upload of ${bytes} bytes was answered with ${incoming.statusCode}: ${text.slice(0, 200)}`);
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
