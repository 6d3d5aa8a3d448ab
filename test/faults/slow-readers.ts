import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connectCore } from "../../src/client/core-client.ts";
import { send } from "../support/http-load.ts";
import { ServerProcess } from "../support/server-process.ts";
import { childrenOf, commandOf } from "./program.ts";

const CALLS = 1_000;
const PAGE_KILOBYTES = 240;
const WATCHERS = 50;
/** What one process may take above idle, whoever does not read. */
const GROWTH_BYTES_MAX = 64 * 1024 * 1024;
const OTHERS_LIMIT_MS = 5_000;
const WATCHED_MS = 15_000;
const MEGABYTE = 1024 * 1024;

export interface SlowReadersReport {
  readonly lines: readonly string[];
  readonly faults: readonly string[];
}

type Client = ReturnType<typeof connectCore>;

/**
 * Readers that stop, on each stream of the API and on HTTP, each asked for a thousand pages of 240 KB or for all that
 * happens: no process takes more than 64 MB above idle for them, and nobody else waits or gets anything but the answer.
 */
export async function slowReaders(): Promise<SlowReadersReport> {
  const lines: string[] = [];
  const faults: string[] = [];
  for (const [name, stop] of Object.entries(READERS)) {
    const { growth, longestMs, problems } = await underOne(stop);
    lines.push(`${name}: ${growth.join(", ")}; others waited ${Math.round(longestMs)} ms at most`);
    faults.push(...problems.map((problem) => `${name}: ${problem}`));
  }
  return { lines, faults };
}

/** Starts what does not read; returns how to end it. */
type StoppedReader = (server: ServerProcess, client: Client) => () => void;

const READERS: Readonly<Record<string, StoppedReader>> = {
  "dispatch stream, the default window": (_server, client) => unreadDispatchStream(client, 0),
  "dispatch stream, the largest window": (_server, client) => unreadDispatchStream(client, 0xffff_ffff),
  "1,000 HTTP connections": ({ httpPort }) => {
    const sockets = Array.from({ length: CALLS }, () => unreadConnection(httpPort));
    return () => {
      for (const socket of sockets) socket.destroy();
    };
  },
  "watches of events": (_server, client) => unreadMany((signal) => client.events.watchEvents({}, { signal })),
  "watches of pools": (_server, client) => unreadMany((signal) => client.pools.watchPools({}, { signal })),
  "watches of figures": (_server, client) =>
    unreadMany((signal) => client.stats.watchStats({ interval: { seconds: 0n, nanos: 100_000_000 } }, { signal })),
  "watches of health": (_server, client) => unreadMany((signal) => client.health.watch({ service: "" }, { signal })),
};

function unreadDispatchStream(client: Client, windowBytes: number): () => void {
  const ended = new AbortController();
  const body = Buffer.from(`large ${PAGE_KILOBYTES}`);
  const commands = Array.from({ length: CALLS }, (_, index) => ({
    callId: index + 1,
    command: { case: "open" as const, value: { pool: "http", body, windowBytes } },
  }));
  const requests = (async function* () {
    yield { commands };
    await new Promise((resolve) => ended.signal.addEventListener("abort", resolve));
  })();
  const responses = client.dispatch.dispatchStream(requests, { signal: ended.signal })[Symbol.asyncIterator]();
  responses.next().catch(() => {});
  return () => ended.abort();
}

function unreadConnection(port: number): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.pause();
  socket.write(`GET /large?${PAGE_KILOBYTES} HTTP/1.1\r\nHost: h\r\n\r\n`);
  return socket;
}

function unreadMany(open: (signal: AbortSignal) => AsyncIterable<unknown>): () => void {
  const ended = new AbortController();
  for (let watcher = 0; watcher < WATCHERS; watcher++)
    open(ended.signal)
      [Symbol.asyncIterator]()
      .next()
      .catch(() => {});
  return () => ended.abort();
}

async function underOne(stop: StoppedReader) {
  const server = await ServerProcess.start({ pool: { num_workers: 4 }, logs: { level: "error" } });
  const reader = connectCore(server.controlAddress);
  const problems: string[] = [];
  let longestMs = 0;
  try {
    await warm(server);
    const idle = residentBytes(server);
    const peak = new Map(idle);
    const end = stop(server, reader);
    const untilMs = performance.now() + WATCHED_MS;
    for (let number = 0; performance.now() < untilMs; number++) {
      const startedAtMs = performance.now();
      const problem = await somebodyElse(server, number);
      if (problem) problems.push(problem);
      longestMs = Math.max(longestMs, performance.now() - startedAtMs);
      for (const [pid, bytes] of residentBytes(server)) peak.set(pid, Math.max(bytes, peak.get(pid) ?? 0));
    }
    end();
    if (longestMs > OTHERS_LIMIT_MS) problems.push(`somebody else waited ${Math.round(longestMs)} ms`);
    const growth = [...peak].map(([pid, bytes]) => {
      const grownBytes = bytes - (idle.get(pid) ?? bytes);
      const name = pid === server.pid ? "core" : "frontend";
      if (grownBytes > GROWTH_BYTES_MAX) problems.push(`the ${name} took ${Math.round(grownBytes / MEGABYTE)} MB`);
      return `${name} +${Math.round(grownBytes / MEGABYTE)} MB`;
    });
    return { growth, longestMs, problems: problems.slice(0, 10) };
  } finally {
    reader.close();
    await server.stop();
  }
}

/** What is made once, and the nursery of the heap, are there before anything is measured. */
async function warm(server: ServerProcess): Promise<void> {
  for (let round = 0; round < 100; round++)
    await Promise.all(Array.from({ length: 16 }, () => send(`${server.httpUrl}/large?${PAGE_KILOBYTES}`)));
  await server.client.stats.getStats({});
}

async function somebodyElse(server: ServerProcess, number: number): Promise<string | undefined> {
  const { status, body } = await send(`${server.httpUrl}/echo?token-${number}`);
  if (status !== 200 || body !== `token-${number}`) return `somebody else got ${status} ${body.slice(0, 80)}`;
  const large = await send(`${server.httpUrl}/large?${PAGE_KILOBYTES}`);
  return large.body.length === PAGE_KILOBYTES * 1024 ? undefined : `somebody else got ${large.body.length} bytes`;
}

/** Of the core and its frontends. */
function residentBytes({ pid }: ServerProcess): Map<number, number> {
  const frontends = childrenOf(pid).filter((child) => /http\/main/.test(commandOf(child)));
  return new Map(
    [pid, ...frontends].map((one) => [
      one,
      Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${one}/status`, "utf8"))![1]!) * 1024,
    ]),
  );
}
