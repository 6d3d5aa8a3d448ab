// npm run test:readers: readers that stop, on every stream there is, with 1,000 calls of 240 KB each. Prints what it
// cost the server and what others noticed; ends with 1 if that is more than it may be. Argument: --count N.
import { parseArgs } from "node:util";
import { ServerProcess, stopServers } from "../support/server-process.ts";
import { type Disturbance, disturbance, readsLater, STOPPERS, warmUp } from "../support/stopped-readers.ts";

const MEBIBYTES_MAX = 64;
/** Waiting for a worker while a thousand pages are made takes its time; being held up takes longer. */
const LONGEST_MS = 20_000;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { count: { type: "string" } } });
  const count = Number(values.count ?? 1_000);
  let failed = false;
  say(`${"readers that stop".padEnd(70)} core MB frontend MB others longest failed`);
  for (const [what, stopper] of Object.entries(STOPPERS)) {
    const server = await ServerProcess.start({
      pool: { num_workers: 4, stop_grace: "500ms" },
      http: { http2: { h2c: true } },
      logs: { level: "info" },
    });
    await warmUp(server);
    const seen = await disturbance(server, stopper, { count, forMs: 15_000 });
    const after = await readsLater(server);
    await stopServers();
    tell(what, seen);
    if (!after) say("  ✗ nothing was served afterwards");
    failed ||= !after || isTooMuch(seen);
  }
  return failed ? 1 : 0;
}

function isTooMuch({ coreMebibytes, frontendMebibytes, failed, longestMs }: Disturbance): boolean {
  return Math.max(coreMebibytes, frontendMebibytes) > MEBIBYTES_MAX || failed > 0 || longestMs > LONGEST_MS;
}

function tell(what: string, seen: Disturbance): void {
  const columns: [number, string][] = [
    [7, seen.coreMebibytes.toFixed(0)],
    [11, seen.frontendMebibytes.toFixed(0)],
    [6, String(seen.answered)],
    [7, `${(seen.longestMs / 1000).toFixed(1)} s`],
    [6, String(seen.failed)],
  ];
  const mark = isTooMuch(seen) ? "✗" : " ";
  say(`${what.padEnd(70)} ${columns.map(([width, text]) => text.padStart(width)).join(" ")} ${mark}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exit(await main());
