import { create, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { DurationSchema, durationFromMs } from "@bufbuild/protobuf/wkt";
import { CommandSchema } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { Notation } from "../../gen/roadrunner/config/v1/setting_pb.ts";
import { settingOf } from "./schema.ts";
import { parseDuration, parseSize } from "./units.ts";

/** Sections that exist whether the file has them or not, because what they steer always runs. */
const ALWAYS_THERE = new Set(["control", "logs", "endure", "supervisor", "pool"]);

/** Fills what the file left out, from the defaults in the descriptor. `origins` learns that they are defaults. */
export function applyDefaults(message: ReflectMessage, origins: Map<string, string>, path = ""): void {
  for (const field of message.fields) {
    const fieldPath = path === "" ? field.name : `${path}.${field.name}`;
    const setting = settingOf(field);
    if (field.fieldKind === "message" && (setting?.notation ?? Notation.UNSPECIFIED) === Notation.UNSPECIFIED) {
      if (!message.isSet(field) && !ALWAYS_THERE.has(field.name)) continue;
      if (!message.isSet(field)) message.set(field, reflect(field.message));
      applyDefaults(message.get(field), origins, fieldPath);
    } else if (field.fieldKind === "map" && field.mapKind === "message" && field.name === "pools") {
      for (const [key, entry] of message.get(field))
        applyDefaults(entry as ReflectMessage, origins, `${fieldPath}.${key}`);
    } else if (!message.isSet(field) && setting && setting.default !== "") {
      message.set(field, defaultValue(field, setting.default, setting.notation));
      origins.set(fieldPath, "default");
    }
  }
}

function defaultValue(field: DescMessage["fields"][number], text: string, notation: Notation): unknown {
  if (notation === Notation.DURATION) return reflect(DurationSchema, durationFromMs(parseDuration(text)!));
  if (notation === Notation.COMMAND)
    return reflect(CommandSchema, create(CommandSchema, { arguments: text.split(" ") }));
  if (notation === Notation.MEGABYTES || notation === Notation.BYTES) return BigInt(parseSize(text, 1)!);
  if (field.scalar === ScalarType.BOOL) return text === "true";
  if (field.scalar === ScalarType.UINT64) return BigInt(text);
  return field.scalar === ScalarType.UINT32 ? Number(text) : text;
}
