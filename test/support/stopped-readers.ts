import { readFileSync } from "node:fs";
import { connect, constants } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { CallCommandSchema } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { send } from "./http-load.ts";
import type { ServerProcess } from "./server-process.ts";

const MEBIBYTE = 1024 * 1024;
/** A page that is larger than what any buffer on the way takes for granted. */
const PAGE = "large?240";
const PAGE_BYTES = 240 * 1024;

/** What stops reading, and how to let it go. */
interface Stopped {
  release(): void;
}

/** Opens so many readers of one kind that read nothing. */
export type Stopper = (server: ServerProcess, count: number) => Promise<Stopped>;

/** Every way in which somebody can ask for much and read nothing. */
export const STOPPERS: Readonly<Record<string, Stopper>> = {
  "connections of HTTP/1 that read nothing": http1,
  "streams of HTTP/2 whose windows stay closed": http2,
  "a dispatch stream that reads nothing, calls with the usual window": (server, count) =>
    dispatchStream(server, count, {}),
  "a dispatch stream that reads nothing, calls without a window": (server, count) =>
    dispatchStream(server, count, { unlimitedWindow: true }),
  "watches of figures, pools, events and health that read nothing": watches,
};

export interface Disturbance {
  /** Most memory above idle, of the core and of the frontend that took most, in MiB. */
  readonly coreMebibytes: number;
  readonly frontendMebibytes: number;
  /** Of somebody else's requests meanwhile. */
  readonly failed: number;
  readonly longestMs: number;
  readonly answered: number;
}

/** What readers of a kind that have stopped do to the server and to others. */
export async function disturbance(
  server: ServerProcess,
  stopper: Stopper,
  { count, forMs }: { count: number; forMs: number },
): Promise<Disturbance> {
  const { processes } = await server.client.server.getServerInfo({});
  const pids = processes.map(({ pid }) => pid);
  const idle = pids.map(residentBytes);
  const most = [...idle];
  const stop = { asked: false };
  const others = bystander(server, stop, () => {
    for (const [at, pid] of pids.entries()) most[at] = Math.max(most[at]!, residentBytes(pid));
  });
  const stopped = await stopper(server, count);
  await new Promise((resolve) => setTimeout(resolve, forMs));
  stop.asked = true;
  const seen = await others;
  stopped.release();
  const above = most.map((bytes, at) => (bytes - idle[at]!) / MEBIBYTE);
  const core = pids.indexOf(server.pid);
  return {
    coreMebibytes: above[core]!,
    frontendMebibytes: Math.max(...above.filter((_, at) => at !== core)),
    ...seen,
  };
}

/** Asks for a small page all the time, as somebody does who has nothing to do with it. */
async function bystander(server: ServerProcess, stop: { asked: boolean }, look: () => void) {
  let [failed, answered, longestMs] = [0, 0, 0];
  while (!stop.asked) {
    const startedMs = performance.now();
    const ok = await send(`${server.httpUrl}/echo?other`).then(
      ({ status, body }) => status === 200 && body === "other",
      () => false,
    );
    longestMs = Math.max(longestMs, performance.now() - startedMs);
    if (ok) answered++;
    else failed++;
    look();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { failed, answered, longestMs };
}

async function http1(server: ServerProcess, count: number): Promise<Stopped> {
  const sockets: Socket[] = [];
  for (let at = 0; at < count; at++) {
    const socket = connectTcp(server.httpPort, "127.0.0.1");
    socket.on("error", () => {}).pause();
    // Kernels buffer megabytes: only more than that is the server's concern.
    const pages = at % 8 === 0 ? 16 : 1;
    socket.write(`GET /${PAGE} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(pages));
    sockets.push(socket);
    if (at % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return {
    release: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function http2(server: ServerProcess, count: number): Promise<Stopped> {
  const sessions = Array.from({ length: Math.ceil(count / 100) }, () =>
    connect(server.httpUrl, { settings: { initialWindowSize: 0 } }).on("error", () => {}),
  );
  for (let at = 0; at < count; at++) {
    const session = sessions[at % sessions.length]!;
    session.request({ [constants.HTTP2_HEADER_PATH]: `/${PAGE}` }).on("error", () => {});
  }
  return {
    release: () => {
      for (const session of sessions) session.destroy();
    },
  };
}

async function dispatchStream(server: ServerProcess, count: number, more: object): Promise<Stopped> {
  const left = new AbortController();
  async function* requests() {
    const uri = `http://x/${PAGE}`;
    const query = PAGE.slice(PAGE.indexOf("?") + 1);
    const context = Buffer.from(
      JSON.stringify({
        remoteAddr: "127.0.0.1",
        protocol: "HTTP/1.1",
        method: "GET",
        uri,
        headers: {},
        cookies: {},
        rawQuery: query,
        parsed: false,
        uploads: null,
        attributes: {},
      }),
    );
    const commands = Array.from({ length: count }, (_, at) =>
      create(CallCommandSchema, {
        callId: at + 1,
        command: { case: "open", value: { pool: "http", context, codec: 2, ...more } as never },
      }),
    );
    yield { commands };
    await new Promise<void>((resolve) => left.signal.addEventListener("abort", () => resolve()));
  }
  const responses = server.client.dispatch.dispatchStream(requests(), { signal: left.signal });
  // One message, and nothing more.
  await responses[Symbol.asyncIterator]().next();
  return { release: () => left.abort() };
}

async function watches(server: ServerProcess, count: number): Promise<Stopped> {
  const left: AbortController[] = [];
  const interval = { seconds: 0n, nanos: 100_000_000 };
  const { stats, pools, events, health } = server.client;
  const kinds = [
    (signal: AbortSignal) => stats.watchStats({ interval }, { signal }),
    (signal: AbortSignal) => pools.watchPools({ interval }, { signal }),
    (signal: AbortSignal) => events.watchEvents({ afterRevision: 0n }, { signal }),
    (signal: AbortSignal) => health.watch({ service: "" }, { signal }),
  ];
  const begun = Array.from({ length: count }, (_, at) => {
    const controller = new AbortController();
    left.push(controller);
    return kinds[at % kinds.length]!(controller.signal)[Symbol.asyncIterator]().next();
  });
  await Promise.allSettled(begun);
  return {
    release: () => {
      for (const controller of left) controller.abort();
    },
  };
}

function residentBytes(pid: number): number {
  const match = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  return Number(match?.[1] ?? 0) * 1024;
}

/** The heap grows to what such work takes at the first use: what comes on top is what readers cost that have stopped. */
export async function warmUp(server: ServerProcess): Promise<void> {
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 16 }, () => readsLater(server)));
}

/** Whether a response comes whole although its reader paused for a while: nothing that waited was lost. */
export async function readsLater(server: ServerProcess): Promise<boolean> {
  const { body } = await send(`${server.httpUrl}/${PAGE}`);
  return body.length === PAGE_BYTES;
}
