// npm run test:faults: a real server under load while the world around it breaks. Arguments: --seconds N for each
// scenario (120 by default), --only TEXT for those whose name has it.
import { parseArgs } from "node:util";
import { closedStreams, fullDisk, removedLogFolder, temporaryFilesCleaned } from "./disks.ts";
import { frontendsAndCores, workers } from "./processes.ts";
import { runStorm, type Scenario, type StormReport } from "./storm.ts";

const SCENARIOS: readonly Scenario[] = [
  fullDisk,
  closedStreams,
  removedLogFolder,
  frontendsAndCores,
  temporaryFilesCleaned,
  workers,
];

const OPTIONS = { seconds: { type: "string" }, only: { type: "string" } } as const;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  const seconds = Number(values.seconds ?? 120);
  const chosen = SCENARIOS.filter(({ name }) => name.includes(values.only ?? ""));
  if (chosen.length === 0) throw new Error(`no scenario has "${values.only}" in its name`);
  say(`${"scenario".padEnd(38)} seconds harms answered repeated failed GET failed POST not stored wrong longest`);
  let failed = false;
  for (const scenario of chosen) {
    const reason = scenario.unable?.();
    if (reason !== undefined) {
      say(`${scenario.name.padEnd(38)} skipped: ${reason}`);
      continue;
    }
    const report = await runStorm(scenario, seconds);
    tell(report);
    failed ||= report.faults.length > 0;
  }
  return failed ? 1 : 0;
}

function tell({ name, seconds, harms, figures, faults }: StormReport): void {
  const { answered, repeated, failedIdempotent, failedOther, notStored, wrong, longestMs } = figures;
  const columns: [number, string | number][] = [
    [7, seconds],
    [5, harms],
    [8, answered],
    [8, repeated],
    [10, failedIdempotent],
    [11, failedOther],
    [10, notStored],
    [5, wrong],
    [7, `${(longestMs / 1000).toFixed(1)} s`],
  ];
  say(`${name.padEnd(38)} ${columns.map(([width, value]) => String(value).padStart(width)).join(" ")}`);
  for (const fault of faults) say(`  ✗ ${fault}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exit(await main());
