const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
};
const PART = /^(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/;

/** Milliseconds of a Go duration ("1m30s", "1.5h", "500ms", "-1s", "0"); undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  const sign = trimmed.startsWith("-") ? -1 : 1;
  let rest = trimmed.replace(/^[+-]/, "");
  if (rest === "0") return 0;
  if (rest === "") return undefined;
  let totalMs = 0;
  while (rest !== "") {
    const match = PART.exec(rest);
    if (!match) return undefined;
    totalMs += Number.parseFloat(match[1]!) * UNIT_MS[match[2]!]!;
    rest = rest.slice(match[0].length);
  }
  return sign * totalMs;
}

/** Up to here people count in seconds: "90s", not "1m30s". */
const SECONDS_ALONE_MS = 120_000;

/** "2m30s", "60s", "500ms", "0s": what `parseDuration` reads back. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms === 0) return "0s";
  if (ms < 1) return `${trimmedNumber(ms * 1000)}us`;
  if (ms < 1000) return `${trimmedNumber(ms)}ms`;
  if (ms < SECONDS_ALONE_MS) return `${trimmedNumber(ms / UNIT_MS.s!)}s`;
  const hours = Math.floor(ms / UNIT_MS.h!);
  const minutes = Math.floor((ms % UNIT_MS.h!) / UNIT_MS.m!);
  const seconds = (ms % UNIT_MS.m!) / UNIT_MS.s!;
  return [
    hours > 0 ? `${hours}h` : "",
    minutes > 0 ? `${minutes}m` : "",
    seconds > 0 ? `${trimmedNumber(seconds)}s` : "",
  ].join("");
}

/** Without the noise that binary fractions leave in the last digits. */
function trimmedNumber(value: number): string {
  return String(Number(value.toFixed(9)));
}

const KILO = 1024;
export const MEGABYTE = KILO * KILO;
const SIZE = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])i?b?|b)?$/i;
const POWER: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4 };

/** Bytes of "64KB", "1.5MiB", "10 G", "100B"; a bare number counts `bareUnitBytes` each. Undefined if it is none. */
export function parseSize(text: string, bareUnitBytes: number): number | undefined {
  const trimmed = text.trim();
  const match = SIZE.exec(trimmed);
  if (!match) return undefined;
  const prefix = match[2]?.toLowerCase();
  const unitBytes = prefix !== undefined ? KILO ** POWER[prefix]! : /b$/i.test(trimmed) ? 1 : bareUnitBytes;
  return Math.round(Number(match[1]) * unitBytes);
}

/** "64MB", "65537B": what `parseSize` reads back, whatever a bare number would mean. */
export function formatSize(bytes: number): string {
  if (bytes === 0) return "0";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let power = 0;
  while (power < units.length - 1 && bytes % KILO ** (power + 1) === 0) power++;
  return `${bytes / KILO ** power}${units[power]}`;
}
