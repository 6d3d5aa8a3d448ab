import { create, type DescField, ScalarType } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, durationMs } from "@bufbuild/protobuf/wkt";
import { Notation } from "../../gen/roadrunner/config/v1/setting_pb.ts";
import { nearest } from "./nearest.ts";
import { boundsOf, notationOf, settingOf, UINT32_MAX } from "./schema.ts";
import { type ScalarNode, type SourceNode, shown, textOf } from "./source-node.ts";
import { formatDuration, formatSize, MEGABYTE, parseDuration, parseSize } from "./units.ts";

/** What a key was given, or why it means nothing. `note` is worth a warning. */
export type ReadValue =
  | { readonly value: unknown; readonly note?: string }
  | {
      readonly error: string;
      /** The part that is wrong, if it is not the whole. */
      readonly part?: SourceNode;
    };

/** What was written for a key that holds one value or a list of texts, as the field of the message has it. */
export function readValue(field: DescField, node: SourceNode): ReadValue {
  const notation = notationOf(field);
  if (notation === Notation.COMMAND) return readCommand(node);
  if (field.fieldKind === "list") return readTexts(node);
  if (node.kind !== "scalar") return unexpected(field, node);
  if (notation === Notation.DURATION) return readDuration(field, node);
  if (notation === Notation.MEGABYTES || notation === Notation.BYTES) return readSize(field, node, notation);
  if (field.scalar === ScalarType.BOOL) return readBoolean(field, node);
  if (field.scalar === ScalarType.UINT32 || field.scalar === ScalarType.UINT64) return readNumber(field, node);
  return readText(field, node);
}

/** The reverse: what a file would have for a value of the message. */
export function plainValue(field: DescField, value: unknown): string | number | boolean | string[] {
  const notation = notationOf(field);
  if (notation === Notation.DURATION) return formatDuration(durationMs(value as Duration));
  if (notation === Notation.MEGABYTES || notation === Notation.BYTES)
    return Number(value) === 0 ? 0 : formatSize(Number(value));
  if (Array.isArray(value)) return value.map(String);
  return typeof value === "bigint" ? Number(value) : (value as string | number | boolean);
}

/** The value is 0, "0s" or the like, which some keys take for "not given". */
export function isZero(field: DescField, value: unknown): boolean {
  return notationOf(field) === Notation.DURATION ? durationMs(value as Duration) === 0 : Number(value) === 0;
}

function unexpected(field: DescField, node: SourceNode, hint = ""): ReadValue {
  return { error: `expected ${expectation(field)}, got ${shown(node)}${hint}` };
}

function readCommand(node: SourceNode): ReadValue {
  const expected = 'expected a command, such as "php worker.php" or [php, worker.php]';
  if (node.kind === "list") {
    const wrong = node.items.find((item) => item.kind !== "scalar" || item.value === null);
    if (wrong) return { error: `${expected}, got ${shown(wrong)} in the list`, part: wrong };
    const parts = node.items.map((item) => textOf(item as ScalarNode));
    return parts.length > 0 && parts[0] !== "" ? { value: parts } : { error: `${expected}, got an empty list` };
  }
  const text = node.kind === "scalar" && typeof node.value === "string" ? node.value : "";
  const parts = text.split(/\s+/).filter((part) => part !== "");
  if (parts.length === 0) return { error: `${expected}, got ${shown(node)}` };
  if (!/["'\\]/.test(text)) return { value: parts };
  return { value: parts, note: "quotes and backslashes mean nothing in a command that is text: use a list" };
}

/** A list of texts; one text may have commas, as on a command line. */
function readTexts(node: SourceNode): ReadValue {
  if (node.kind === "map") return { error: `expected a list, got ${shown(node)}` };
  if (node.kind === "scalar") {
    const items = textOf(node).split(",");
    return { value: items.map((item) => item.trim()).filter((item) => item !== "") };
  }
  const wrong = node.items.find((item) => item.kind !== "scalar" || item.value === null);
  if (wrong) return { error: `expected text in the list, got ${shown(wrong)}`, part: wrong };
  return { value: node.items.map((item) => textOf(item as ScalarNode)) };
}

function readDuration(field: DescField, node: ScalarNode): ReadValue {
  const text = String(node.value).trim();
  const bare = /^-?\d+(?:\.\d+)?$/.test(text);
  const ms = bare ? Number(text) * 1000 : parseDuration(text);
  if (ms === undefined) {
    const days = /^(\d+)d(?:ays?)?$/.exec(text)?.[1];
    return unexpected(field, node, days === undefined ? "" : `: write "${Number(days) * 24}h"`);
  }
  const error = rangeError(field, ms, formatDuration, node);
  if (error !== undefined) return { error };
  const value = durationOf(ms);
  return bare && ms !== 0 ? { value, note: `a number without a unit is read as seconds: write "${text}s"` } : { value };
}

function durationOf(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  // Less than half a nanosecond below a whole second is that second: nanos end at 999999999.
  return create(DurationSchema, nanos < 1e9 ? { seconds: BigInt(seconds), nanos } : { seconds: BigInt(seconds + 1) });
}

function readSize(field: DescField, node: ScalarNode, notation: Notation): ReadValue {
  const bytes = parseSize(textOf(node), notation === Notation.MEGABYTES ? MEGABYTE : 1);
  if (bytes === undefined || !Number.isSafeInteger(bytes)) return unexpected(field, node);
  const error = rangeError(field, bytes, formatSize, node);
  return error === undefined ? { value: BigInt(bytes) } : { error };
}

/** Numbers in quotes are numbers too, as in RoadRunner: variables and overrides have no others. */
function readNumber(field: DescField, node: ScalarNode): ReadValue {
  const number = typeof node.value === "string" && /^-?\d+$/.test(node.value.trim()) ? Number(node.value) : node.value;
  if (typeof number !== "number" || !Number.isSafeInteger(number)) return unexpected(field, node);
  const error = rangeError(field, number, String, node);
  if (error !== undefined) return { error };
  return { value: field.scalar === ScalarType.UINT64 ? BigInt(number) : number };
}

function readBoolean(field: DescField, node: ScalarNode): ReadValue {
  if (typeof node.value === "boolean") return { value: node.value };
  const text = String(node.value).toLowerCase();
  if (text === "true" || text === "1") return { value: true };
  if (text === "false" || text === "0") return { value: false };
  const meant = /^(?:yes|on|y)$/.test(text) ? ": write true" : /^(?:no|off|n)$/.test(text) ? ": write false" : "";
  return unexpected(field, node, meant);
}

function readText(field: DescField, node: ScalarNode): ReadValue {
  const { texts, pattern } = boundsOf(field);
  const text = textOf(node);
  if (!texts) return pattern && !pattern.test(text) ? unexpected(field, node) : { value: text };
  const known = texts.find((one) => one.toLowerCase() === text.toLowerCase());
  if (known !== undefined) return { value: known };
  const meant = texts.length > 1 ? nearest(text, texts) : undefined;
  return unexpected(field, node, meant === undefined ? "" : `; did you mean "${meant}"?`);
}

function rangeError(
  field: DescField,
  value: number,
  format: (value: number) => string,
  node: ScalarNode,
): string | undefined {
  const { min, max } = boundsOf(field);
  if (value >= min && value <= max) return undefined;
  if (value === 0 && settingOf(field)?.zeroIsDefault) return undefined;
  const range = max === Number.MAX_SAFE_INTEGER ? `at least ${format(min)}` : `${format(min)} to ${format(max)}`;
  return `expected ${range}, got ${node.variables.length > 0 ? shown(node) : format(value)}`;
}

/** What a key takes, in words. */
function expectation(field: DescField): string {
  const notation = notationOf(field);
  if (notation === Notation.DURATION) return 'a time such as "60s", "1m30s" or "500ms"';
  if (notation === Notation.MEGABYTES) return 'a size such as "64MB" (a bare number is megabytes)';
  if (notation === Notation.BYTES) return 'a size such as "64KB" (a bare number is bytes)';
  if (field.scalar === ScalarType.BOOL) return "true or false";
  const { min, max, texts, pattern } = boundsOf(field);
  if (field.scalar === ScalarType.UINT32 || field.scalar === ScalarType.UINT64)
    return max === UINT32_MAX ? `a whole number from ${min} on` : `a whole number from ${min} to ${max}`;
  if (texts) return alternatives(texts.map((text) => JSON.stringify(text)));
  return pattern ? "at most 64 letters, digits and any of . / _ -" : "text";
}

function alternatives(items: readonly string[]): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} or ${items.at(-1)}`;
}
