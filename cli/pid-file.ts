import { readFileSync, rmSync, type Stats, statSync, writeFileSync } from "node:fs";
import { uptime } from "node:os";
import { RrError } from "../src/errors.ts";
import { BIRTH_UNKNOWN, birthOf } from "../src/process/birth.ts";

/** Of Linux, on every machine that Node runs on. */
const TICKS_PER_SECOND = 100;
/** How exact the times of files and processes are, together. */
const TOLERANCE_MS = 2_000;

export interface PidFile {
  /** Why there is none, for people; undefined: it is written. */
  readonly problem: string | undefined;
  /** Removes it, unless another server has written its own there. */
  remove(): void;
}

/**
 * Writes this process's id to a file. That of another server that runs in the same folder stays as it is.
 *
 * @throws RrError FAILED_PRECONDITION: it cannot be written, or what is there is no file
 */
export function writePidFile(path: string): PidFile {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats && !stats.isFile())
    throw new RrError("FAILED_PRECONDITION", `cannot write ${path}: what is there is no file, and is not touched`);
  const other = stats && livingWriter(path, stats);
  if (other !== undefined) {
    const problem = `${path} stays as it is: it belongs to process ${other}, which runs; serve from another folder for a file of its own`;
    return { problem, remove: () => {} };
  }
  const remove = () => {
    if (readPid(path) === process.pid) rmSync(path, { force: true });
  };
  try {
    writeFileSync(path, String(process.pid));
  } catch (thrown) {
    // A disk that is full takes the name and not what should be in it.
    if (!stats) rmSync(path, { force: true });
    throw new RrError("FAILED_PRECONDITION", `cannot write ${path}: ${(thrown as Error).message}`, { cause: thrown });
  }
  return { problem: undefined, remove };
}

/** Process ids are used again: whoever is younger than the file has not written it. */
function livingWriter(path: string, { mtimeMs }: Stats): number | undefined {
  const pid = readPid(path);
  if (pid === undefined || pid === process.pid) return undefined;
  const birth = birthOf(pid);
  if (birth === undefined || birth === BIRTH_UNKNOWN) return undefined;
  const bornAtMs = Date.now() - (uptime() - Number(birth) / TICKS_PER_SECOND) * 1_000;
  return bornAtMs <= mtimeMs + TOLERANCE_MS ? pid : undefined;
}

function readPid(path: string): number | undefined {
  try {
    const text = readFileSync(path, "latin1").trim();
    return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}
