import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { type Duration, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { JsonObject } from "./output/output.ts";

/**
 * A message of the contract as the CLI prints it: protobuf's JSON with the names of the .proto files, and with fields
 * that are zero or empty, so that a program finds each field in each answer.
 */
export function messageData<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): JsonObject {
  return toJson(schema, message, { useProtoFieldName: true, alwaysEmitImplicit: true }) as JsonObject;
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
