import { parse } from "yaml";

/** One `-o key=value`. */
export interface Override {
  readonly path: readonly string[];
  /** Text, number, boolean or list, as YAML would read it. */
  readonly value: unknown;
  /** As it was given, for messages. */
  readonly text: string;
}

/**
 * Reads `http.pool.num_workers=4`. Quotes around the value are taken off, `\"` in it becomes `"`. Returns what is wrong
 * instead, if it is.
 */
export function parseOverride(text: string): Override | string {
  const cleaned = text.trim().replace(/^["'`\s]+(?=[^=]*=)/, "");
  const equals = cleaned.indexOf("=");
  if (equals < 0) return `"${text}" is no override: expected key=value, such as -o http.pool.num_workers=4`;
  const key = cleaned.slice(0, equals).trim();
  const raw = cleaned.slice(equals + 1).trim();
  if (key === "") return `"${text}" has no key: expected key=value`;
  if (raw === "") return `"${text}" has no value: expected key=value`;
  const quoted = /^(["'`])([\s\S]*)\1$/.exec(raw);
  const value = quoted ? quoted[2]!.replaceAll('\\"', '"') : raw;
  return { path: key.split("."), value: quoted ? value : plainValue(value), text };
}

function plainValue(text: string): unknown {
  // Lists and plain scalars mean what they mean in the file; anything else is text.
  if (!/^(?:\[[\s\S]*\]|\{[\s\S]*\}|true|false|-?\d+(?:\.\d+)?)$/.test(text)) return text;
  try {
    return parse(text);
  } catch {
    return text;
  }
}
