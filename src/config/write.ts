import type { Message } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { stringify } from "yaml";
import {
  type Command,
  type Configuration,
  ConfigurationSchema,
} from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { Notation } from "../../gen/roadrunner/config/v1/setting_pb.ts";
import { notationOf } from "./schema.ts";
import { formatDuration, formatSize } from "./units.ts";

/** A configuration as the text of a file that means the same. */
export function writeYaml(configuration: Configuration): string {
  return stringify(plainConfiguration(configuration), { lineWidth: 0 });
}

/** A configuration as keys and values that mean the same when they are read. */
export function plainConfiguration(configuration: Configuration): Record<string, unknown> {
  return plainSection(reflect(ConfigurationSchema, configuration));
}

function plainSection(message: ReflectMessage): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const value: unknown = message.get(field);
    plain[field.name] = plainValue(notationOf(field), field.fieldKind, value);
  }
  return plain;
}

function plainValue(notation: Notation, kind: string, value: unknown): unknown {
  if (notation === Notation.COMMAND) return (value as { message: Command }).message.arguments;
  if (notation === Notation.DURATION)
    return formatDuration(durationMs((value as { message: Message }).message as Duration));
  if (notation === Notation.MEGABYTES || notation === Notation.BYTES) return formatSize(Number(value));
  if (kind === "message") return plainSection(value as ReflectMessage);
  if (kind === "list") return [...(value as Iterable<unknown>)];
  if (kind === "map") {
    const entries = [...(value as Iterable<[string, unknown]>)];
    return Object.fromEntries(
      entries.map(([key, entry]) => [key, typeof entry === "object" ? plainSection(entry as ReflectMessage) : entry]),
    );
  }
  return typeof value === "bigint" ? Number(value) : value;
}
