// npm run test:fuzz: random and mutated bytes against a real server. Arguments: names of fuzzers (all by default),
// --inputs N, --seconds N for each, --seed N.
import { parseArgs } from "node:util";
import type { Fuzz, FuzzReport } from "./fuzzer.ts";

const FUZZERS: Readonly<Record<string, () => Promise<{ fuzz: Fuzz }>>> = {
  http1: () => import("./http1.ts"),
  multipart: () => import("./multipart.ts"),
  "worker-frames": () => import("./worker-frames.ts"),
  rpc: () => import("./rpc.ts"),
  grpc: () => import("./grpc.ts"),
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { inputs: { type: "string" }, seconds: { type: "string" }, seed: { type: "string" } },
    allowPositionals: true,
  });
  const names = positionals.length > 0 ? positionals : Object.keys(FUZZERS);
  const inputs = Number(values.inputs ?? 1_000_000);
  const seconds = Number(values.seconds ?? 3600);
  const seed = Number(values.seed ?? Date.now() % 2 ** 31);
  let failed = false;
  for (const name of names) {
    const load = FUZZERS[name];
    if (load === undefined)
      throw new Error(`there is no fuzzer "${name}"; there are ${Object.keys(FUZZERS).join(", ")}`);
    const { fuzz } = await load();
    const report = await fuzz({ inputs, seconds, seed, progress: (line) => say(`  ${name}: ${line}`) });
    tell(name, seed, report);
    failed ||= report.findings.length > 0;
  }
  return failed ? 1 : 0;
}

function tell(name: string, seed: number, { inputs, seconds, figures, findings }: FuzzReport): void {
  const details = Object.entries(figures).map(([figure, value]) => `${figure}=${value}`);
  const verdict = findings.length === 0 ? "ok" : `${findings.length} findings`;
  say(`fuzz ${name}: ${inputs} inputs in ${seconds.toFixed(0)} s, seed ${seed}: ${verdict}  ${details.join(" ")}`);
  for (const finding of findings) say(`  ✗ ${finding}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exit(await main());
