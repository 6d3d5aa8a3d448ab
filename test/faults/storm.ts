import { type LoadFigures, StormLoad } from "./load.ts";
import { descendants, isRunning, Place, type Program } from "./program.ts";

/** What one scenario sets up and does while the load runs. */
export interface Scenario {
  readonly name: string;
  /** Why it cannot run on this machine; undefined if it can. */
  unable?(): string | undefined;
  /** Prepares servers in the place. `url` is what clients ask. */
  prepare(place: Place): Promise<Prepared>;
}

export interface Prepared {
  readonly programs: readonly Program[];
  readonly url: string;
  /** Does harm once, and undoes it if it lasts. Called again and again while the load runs. */
  harm(load: StormLoad, round: number): Promise<void>;
  /** What must hold besides; each text is a fault. */
  check?(): Promise<string[]>;
  /** Takes back what was done to the machine. */
  undo?(): void;
}

export interface StormReport {
  readonly name: string;
  readonly seconds: number;
  readonly harms: number;
  readonly figures: LoadFigures;
  /** Empty: all is well. */
  readonly faults: readonly string[];
}

const PAUSE_BETWEEN_HARMS_MS = 300;
const CALM_AT_THE_END_MS = 2_000;

/** Runs a scenario under load for so long, ends it, and looks at what is left, also after one more start. */
export async function runStorm(scenario: Scenario, seconds: number): Promise<StormReport> {
  const place = new Place();
  const faults: string[] = [];
  const prepared = await scenario.prepare(place);
  const { programs, url } = prepared;
  let harms = 0;
  try {
    for (const program of programs) await program.start();
    await programs.at(-1)!.serves(url);
    const load = new StormLoad(url);
    const endsAtMs = performance.now() + seconds * 1000;
    while (performance.now() < endsAtMs) {
      await prepared.harm(load, harms++);
      await pause(PAUSE_BETWEEN_HARMS_MS);
    }
    await pause(CALM_AT_THE_END_MS);
    const figures = await load.end();
    for (const { alive, name, output } of programs)
      if (!alive) faults.push(`${name} ended by itself: ${output.slice(-1_000)}`);
    faults.push(...judge(figures), ...((await prepared.check?.()) ?? []));
    faults.push(...(await endAndLook(programs, place, url)));
    return { name: scenario.name, seconds, harms, figures, faults };
  } finally {
    await Promise.all(programs.map((program) => program.stop().catch(() => {})));
    prepared.undo?.();
    place.remove();
  }
}

function judge({ wrong, failedIdempotent, answered, notes }: LoadFigures): string[] {
  const faults: string[] = [];
  if (wrong > 0) faults.push(`${wrong} wrong answers`);
  if (failedIdempotent > 0) faults.push(`${failedIdempotent} idempotent requests failed`);
  if (answered === 0) faults.push("nothing was answered");
  return faults.length > 0 ? [...faults, ...notes] : [];
}

/** Ends all servers, starts and ends them once more: no process and no file of theirs may be left. */
async function endAndLook(programs: readonly Program[], place: Place, url: string): Promise<string[]> {
  const faults: string[] = [];
  const family = programs.flatMap(({ pid }) => descendants(pid));
  for (const round of ["after the storm", "after one more start"]) {
    for (const program of [...programs].reverse())
      await program.stop().catch((thrown: Error) => faults.push(`${round}: ${thrown.message}`));
    const orphans = family.filter(isRunning);
    if (orphans.length > 0) faults.push(`${round}: processes ${orphans.join(", ")} run on`);
    if (round === "after one more start") break;
    for (const program of programs) await program.start();
    await programs.at(-1)!.serves(url);
  }
  const left = place.leftovers();
  if (left.length > 0) faults.push(`left over after one more start: ${left.slice(0, 10).join(", ")}`);
  return faults;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
