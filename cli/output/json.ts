import type { JsonValue } from "./output.ts";

/** Indented, for one document. */
export function renderJson(data: JsonValue): string {
  return `${JSON.stringify(data, null, 2)}\n`;
}

/** On one line, for one of many: what reads a feed splits it at line breaks. */
export function renderJsonLine(data: JsonValue): string {
  return `${JSON.stringify(data)}\n`;
}
