const UNIT_MS: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1e3, m: 60e3, h: 3600e3 };
const DURATION = /^[+]?(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)/;

/** Milliseconds of a Go duration ("1m30s", "1.5h", "500ms", "0"); undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === "0") return 0;
  let rest = trimmed;
  let totalMs = 0;
  while (rest !== "") {
    const match = DURATION.exec(rest);
    if (!match) return undefined;
    const [part] = match;
    const number = Number.parseFloat(part);
    totalMs += number * UNIT_MS[part.replace(/^[+\d.]+/, "")]!;
    rest = rest.slice(part.length);
  }
  return trimmed === "" ? undefined : totalMs;
}

/** "1m30s", "500ms", "0s": what `parseDuration` reads back. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0s";
  if (ms < 1000) return `${ms}ms`;
  const seconds = ms / 1000;
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
  return `${hours > 0 ? `${hours}h` : ""}${minutes > 0 ? `${minutes}m` : ""}${rest > 0 ? `${rest}s` : ""}`;
}

const KILO = 1024;
const SIZE = /^(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?$/i;
const POWER: Record<string, number> = { "": 0, k: 1, m: 2, g: 3, t: 4 };

/** Bytes of "64KB", "1.5MiB", "10 G"; a bare number counts `bareUnitBytes` each. Undefined if it is none. */
export function parseSize(text: string, bareUnitBytes: number): number | undefined {
  const match = SIZE.exec(text.trim());
  if (!match) return undefined;
  const hasUnit = /[a-z]/i.test(text);
  const bytes = Number(match[1]) * (hasUnit ? KILO ** POWER[match[2]!.toLowerCase()]! : bareUnitBytes);
  return Math.round(bytes);
}

/** "64MB", "65537B": what `parseSize` reads back, whatever a bare number would mean. */
export function formatSize(bytes: number): string {
  if (bytes === 0) return "0";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let power = 0;
  while (power < units.length - 1 && bytes % KILO ** (power + 1) === 0) power++;
  return `${bytes / KILO ** power}${units[power]}`;
}
