/** Values as people read them. Pure functions; "now" is an argument. */

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes in decimal units, two significant digits below ten: 0 → "0 B", 1500 → "1.5 kB", 29_100_000 → "29 MB". */
export function formatBytes(bytes: number | bigint): string {
  let value = Number(bytes);
  let unit = 0;
  // 999.5 would be rounded to 1000 of the smaller unit.
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

const AGE_UNITS: [name: string, seconds: number][] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["week", 7 * 86_400],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** How long ago in the largest whole unit: 400 → "now", 5_000 → "5 seconds ago". A clock ahead of ours counts as now. */
export function formatAge(ageMs: number): string {
  const seconds = Math.floor(ageMs / 1000);
  for (const [name, unitSeconds] of AGE_UNITS)
    if (seconds >= unitSeconds) return `${counted(Math.floor(seconds / unitSeconds), name)} ago`;
  return "now";
}

/** A duration with about three digits: "0", "350 µs", "1.25 ms", "840 ms", "2.3 s", "1m 20s", "3h 5m", "2d 4h". */
export function formatDuration(durationMs: number): string {
  if (durationMs <= 0) return "0";
  if (durationMs < 0.9995) return `${Math.max(1, Math.round(durationMs * 1000))} µs`;
  if (durationMs < 999.5) return `${threeDigits(durationMs)} ms`;
  if (durationMs < 59_950) return `${threeDigits(durationMs / 1000)} s`;
  const seconds = Math.round(durationMs / 1000);
  if (seconds < 3600) return pair(seconds, 60, "m", "s");
  if (seconds < 86_400) return pair(Math.round(seconds / 60), 60, "h", "m");
  return pair(Math.round(seconds / 3600), 24, "d", "h");
}

function threeDigits(value: number): string {
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return String(Number(value.toFixed(digits)));
}

function pair(smallUnits: number, perLarge: number, large: string, small: string): string {
  const rest = smallUnits % perLarge;
  const whole = `${Math.floor(smallUnits / perLarge)}${large}`;
  return rest === 0 ? whole : `${whole} ${rest}${small}`;
}

/** "1 worker", "8 workers", "2 processes". */
export function counted(count: number | bigint, noun: string): string {
  const plural = /(s|x|ch)$/.test(noun) ? `${noun}es` : `${noun}s`;
  return `${count} ${Number(count) === 1 ? noun : plural}`;
}

/** A count with thousands apart: 1234567 → "1,234,567". */
export function formatCount(count: number | bigint): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Local time of day with milliseconds, with the date in front unless it is today's: "14:03:07.120". */
export function formatTime(timeMs: number, nowMs: number): string {
  const time = new Date(timeMs);
  const pad = (value: number, length = 2) => String(value).padStart(length, "0");
  const clock = `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}.${pad(time.getMilliseconds(), 3)}`;
  if (time.toDateString() === new Date(nowMs).toDateString()) return clock;
  return `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())} ${clock}`;
}

/**
 * Text of unknown origin, safe on a terminal and in one line: line breaks and tabs become spaces, other control
 * characters (escape sequences among them) become "�".
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
  return text.replace(/[\r\n\t]+/g, " ").replace(/[\u0000-\u001f\u007f-\u009f]/g, "\ufffd");
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const ZERO = /\p{Mn}|\p{Me}|\u200b|\u200c|\u200d/u;

/** Terminal columns that the text takes: wide East Asian characters and emoji take two, combining marks none. */
export function textWidth(text: string): number {
  let width = 0;
  for (const character of text) width += ZERO.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}

/** The text cut to a number of columns, with "…" where something was cut off. */
export function truncate(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  let kept = "";
  let width = 1;
  for (const character of text) {
    width += textWidth(character);
    if (width > columns) break;
    kept += character;
  }
  return columns < 1 ? "" : `${kept.trimEnd()}…`;
}
