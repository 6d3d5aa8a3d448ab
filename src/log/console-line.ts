import { styleText } from "node:util";
import type { Fields } from "../log.ts";

const LEVEL_STYLE = { debug: "gray", info: "cyan", warn: "yellow", error: "red", fatal: "red" } as const;

/** What stands before every further line of a message, so that none of them looks like the beginning of a record. */
const CONTINUATION = "    | ";

/**
 * Everything that could steer a terminal or deceive its reader: C0 and C1 controls, DEL, the separators that some programs
 * take for line ends, the marks that turn the direction of writing, and halves of surrogate pairs.
 */
const UNSAFE =
  /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;
const ANY_UNSAFE = new RegExp(UNSAFE.source, "u");
/** The same without tab and line feed, which messages may hold. */
const MESSAGE_LINE_END = /\r\n|\n/;

/**
 * A record for people: "2026-01-31T12:00:00.000+01:00 INFO  http   message  key=value ...", in the time of the place. One
 * record has one line that does not begin with a space, whatever its message and fields hold.
 */
export function consoleLine(record: Fields, colours: boolean): string {
  // `logger` is the channel once more, for programs.
  const { ts, level, channel, msg, logger: _logger, ...rest } = record;
  const label = escapeControls(String(level).toUpperCase()).padEnd(5);
  const style = LEVEL_STYLE[level as keyof typeof LEVEL_STYLE] ?? "white";
  const fields = Object.entries(rest)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([key, value]) => `${fieldText(key)}=${fieldText(value)}`)
    .join(" ");
  const channelText = escapeControls(String(channel ?? "")).padEnd(6);
  const head = `${localTime(String(ts))} ${colours ? styleText(style, label) : label} ${channelText}`;
  const [first = "", ...others] = String(msg).split(MESSAGE_LINE_END).map(escapeControls);
  const tail = fields && (colours ? styleText("gray", fields) : fields);
  const continued = others.map((line) => `\n${CONTINUATION}${line}`).join("");
  return `${head} ${first}${tail ? `  ${tail}` : ""}${continued}\n`;
}

/** Controls as they are written in JSON: "\u001b". */
export function escapeControls(text: string): string {
  if (!ANY_UNSAFE.test(text)) return text;
  return text.replace(UNSAFE, (character) => {
    if (character === "\t") return "\\t";
    if (character === "\n") return "\\n";
    if (character === "\r") return "\\r";
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Bare if it is one plain word, else quoted as in JSON. */
function fieldText(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  return escapeControls(typeof value === "string" && /[\s"=]/.test(text) ? JSON.stringify(text) : text);
}

/** "2026-01-31T12:00:00.000+01:00" for a moment in UTC; as it came if it is none. */
export function localTime(utc: string): string {
  const moment = new Date(utc);
  if (Number.isNaN(moment.getTime())) return escapeControls(utc);
  const offset = -moment.getTimezoneOffset();
  const two = (value: number) => String(value).padStart(2, "0");
  const local = new Date(moment.getTime() + offset * 60_000).toISOString().slice(0, -1);
  const zone = Math.abs(offset);
  return `${local}${offset < 0 ? "-" : "+"}${two(Math.floor(zone / 60))}:${two(zone % 60)}`;
}
