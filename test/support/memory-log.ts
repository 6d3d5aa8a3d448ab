import type { Log } from "../../src/log.ts";

export interface LogLine {
  level: "debug" | "info" | "warn" | "error";
  message: string;
  fields: Record<string, unknown>;
}

/** A log that keeps its lines, with the fields of their children. */
export function memoryLog(): { log: Log; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const build = (inherited: Record<string, unknown>): Log => {
    const at = (level: LogLine["level"]) => (fields: Record<string, unknown>, message: string) => {
      lines.push({ level, message, fields: { ...inherited, ...fields } });
    };
    return {
      debugEnabled: true,
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: (fields) => build({ ...inherited, ...fields }),
    };
  };
  return { log: build({}), lines };
}
