import { appendFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { styleText } from "node:util";
import pino from "pino";

type Fields = Record<string, unknown>;

/** One event, one line: stable fields for programs, a message for people. */
export interface Log {
  /** Whether lines of `debug` go anywhere: for who would have to gather fields first. */
  readonly debugEnabled: boolean;
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
  /** A log whose lines carry these fields too. `channel` also picks the level that the configuration gives it. */
  child(fields: Fields): Log;
}

export interface LogSettings {
  readonly mode: "development" | "production" | "raw" | "none";
  readonly level: "debug" | "info" | "warn" | "error" | "fatal";
  readonly encoding: "console" | "json";
  readonly output: readonly string[];
  readonly channelLevels: Readonly<Record<string, string>>;
}

/** Writes to "stdout", "stderr" and files, in the encoding the settings name. */
export function createLog(settings: LogSettings): Log {
  if (settings.mode === "none") return silentLog;
  const targets = settings.output.map(openTarget);
  const format = formatter(settings);
  const stream = {
    write: (line: string) => {
      const text = format(line);
      for (const target of targets) target.write(text, line);
    },
  };
  const root = pino(
    {
      level: settings.level,
      base: null,
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: "msg",
    },
    stream,
  );
  return wrap(root, settings.channelLevels);
}

function wrap(logger: pino.Logger, channelLevels: Readonly<Record<string, string>>): Log {
  return {
    debugEnabled: logger.isLevelEnabled("debug"),
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => {
      const level = typeof fields.channel === "string" ? channelLevels[fields.channel] : undefined;
      return wrap(logger.child(fields, level ? { level } : {}), channelLevels);
    },
  };
}

export const silentLog: Log = {
  debugEnabled: false,
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};

interface Target {
  write(formatted: string, json: string): void;
}

function openTarget(output: string): Target {
  if (output === "stdout") return { write: (text) => process.stdout.write(text) };
  if (output === "stderr") return { write: (text) => process.stderr.write(text) };
  mkdirSync(dirname(output), { recursive: true });
  // A file is read by programs: always JSON, whatever the terminal gets.
  return { write: (_text, json) => appendFileSync(output, json) };
}

function formatter(settings: LogSettings): (line: string) => string {
  if (settings.mode === "raw") return (line) => `${(JSON.parse(line) as { msg: string }).msg}\n`;
  if (settings.encoding === "json") return (line) => line;
  const colours = process.stderr.isTTY === true && process.env.NO_COLOR === undefined;
  return (line) => consoleLine(JSON.parse(line) as Fields, colours);
}

const LEVEL_STYLE = { debug: "gray", info: "cyan", warn: "yellow", error: "red", fatal: "red" } as const;

/** "12:00:00.000 INFO  http  message  key=value ..." */
export function consoleLine(record: Fields, colours: boolean): string {
  const { ts, level, channel, msg, ...rest } = record;
  const time = String(ts).slice(11, 23);
  const label = String(level).toUpperCase().padEnd(5);
  const style = LEVEL_STYLE[level as keyof typeof LEVEL_STYLE] ?? "white";
  const fields = Object.entries(rest)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([key, value]) => `${key}=${fieldText(value)}`)
    .join(" ");
  const head = `${time} ${colours ? styleText(style, label) : label} ${String(channel ?? "").padEnd(6)}`;
  const tail = fields && (colours ? styleText("gray", fields) : fields);
  return `${head} ${String(msg)}${tail ? `  ${tail}` : ""}\n`;
}

function fieldText(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /[\s"=]/.test(text) && typeof value === "string" ? JSON.stringify(text) : text;
}
