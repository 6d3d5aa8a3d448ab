import { RrError } from "../src/errors.ts";

/** Values of the command line. Each parser names the option, the value and what it expected. */

const DURATION_UNITS_MS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** "500ms", "30s", "1m30s", "2h", "1d"; a bare number is seconds. */
export function parseDurationMs(option: string, text: string): number {
  const bad = () =>
    new RrError("INVALID_REQUEST", `${option} "${text}": expected a duration such as 500ms, 30s, 1m30s or 2h`);
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d))+$/.test(text)) throw bad();
  let durationMs = 0;
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g))
    durationMs += Number(count) * DURATION_UNITS_MS[unit!]!;
  return durationMs;
}

/** A moment: a duration before now ("5m") or a time ("2026-03-01T12:00:00Z", "2026-03-01 12:00"). */
export function parseSinceMs(option: string, text: string, nowMs: number): number {
  if (/^\d{4}-\d\d-\d\d/.test(text)) {
    const timeMs = Date.parse(text);
    if (!Number.isNaN(timeMs)) return timeMs;
  } else if (/^\d/.test(text)) return nowMs - parseDurationMs(option, text);
  throw new RrError(
    "INVALID_REQUEST",
    `${option} "${text}": expected a duration such as 5m or a time such as 2026-03-01T12:00:00Z`,
  );
}

/** A whole number in decimal digits, within bounds. */
export function parseInteger(option: string, text: string, minimum: number, maximum: number): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || value < minimum || value > maximum)
    throw new RrError("INVALID_REQUEST", `${option} "${text}": expected a whole number from ${minimum} to ${maximum}`);
  return value;
}

export function parsePid(text: string): number {
  return parseInteger("pid", text, 1, 0xffff_ffff);
}
