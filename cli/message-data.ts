import type { DescEnum, DescField, DescMessage, MessageShape } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, type Timestamp, TimestampSchema, timestampMs } from "@bufbuild/protobuf/wkt";
import type { JsonObject, JsonValue } from "./output/output.ts";

/**
 * A message of the contract as the CLI prints it, for programs that do sums: names as in the .proto files; every number
 * is a number; a duration is a number of seconds and its name says so (`boot_time_seconds`); a moment is text of RFC
 * 3339; a state is the one word that the tables show; bytes are base64. Fields that are zero or empty are there, so that
 * a program finds each field in each answer; only what has no value at all is left out. docs/rrctl.md promises this.
 */
export function messageData<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): JsonObject {
  const data: JsonObject = {};
  const values = message as unknown as Record<string, unknown>;
  for (const field of schema.fields) {
    const value = setValue(field, values);
    if (value !== undefined) data[nameOf(field)] = fieldData(field, value);
  }
  return data;
}

/** The value of a field; undefined if it has none. A field of a oneof is kept under the name of that. */
function setValue({ oneof, localName }: DescField, values: Record<string, unknown>): unknown {
  if (oneof === undefined) return values[localName];
  const chosen = values[oneof.localName] as { case: string | undefined; value?: unknown };
  return chosen.case === localName ? chosen.value : undefined;
}

function nameOf(field: DescField): string {
  const isDuration = "message" in field && field.message?.typeName === DurationSchema.typeName;
  return isDuration ? `${field.name}_seconds` : field.name;
}

function fieldData(field: DescField, value: unknown): JsonValue {
  if (field.fieldKind === "list") return (value as unknown[]).map((item) => itemData(field, item));
  if (field.fieldKind !== "map") return itemData(field, value);
  return Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, itemData(field, item)]));
}

function itemData(field: DescField, value: unknown): JsonValue {
  if ("enum" in field && field.enum) return enumWord(field.enum, value as number);
  if (!("message" in field) || !field.message) return scalarData(value);
  const { typeName } = field.message;
  if (typeName === DurationSchema.typeName) return spanMs(value as Duration) / 1000;
  if (typeName === TimestampSchema.typeName) return new Date(timestampMs(value as Timestamp)).toISOString();
  return messageData(field.message, value as never);
}

/** Whole numbers are exact up to 2^53, which nothing here counts to. */
function scalarData(value: unknown): JsonValue {
  if (typeof value === "bigint") return Number(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : (value as JsonValue);
}

/** "serving" for POOL_STATE_SERVING; of a value that a newer core knows: its number. */
function enumWord({ values, sharedPrefix }: DescEnum, value: number): JsonValue {
  const found = values.find(({ number }) => number === value);
  return found === undefined ? value : found.name.toLowerCase().slice(sharedPrefix?.length ?? 0);
}

export function timeMs(time: Timestamp | undefined): number | undefined {
  return time === undefined ? undefined : timestampMs(time);
}

/** Milliseconds with their fractions, which `durationMs` of the library cuts off. */
export function spanMs(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

/** An enum value's name in lower case: (PoolState, 2) → "serving". Of a value that a newer core knows: its number. */
export function stateName(values: Readonly<Record<string, number>>, value: number): string {
  const name = Object.keys(values).find((key) => values[key] === value);
  return name === undefined ? String(value) : name.toLowerCase();
}
