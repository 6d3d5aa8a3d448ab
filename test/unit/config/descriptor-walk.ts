import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { CONFIGURATION, sectionMessageOf } from "../../../src/config/schema.ts";

export interface Key {
  readonly field: DescField;
  readonly section: DescMessage;
  /** Keys on the way, with "name" for those of maps: ["pools", "name", "num_workers"]. */
  readonly path: readonly string[];
}

/** All keys of the configuration, sections included, in order. */
export function allKeys(section: DescMessage = CONFIGURATION, prefix: readonly string[] = []): Key[] {
  return section.fields.flatMap((field): Key[] => {
    const path = [...prefix, field.name];
    const own: Key = { field, section, path };
    const nested = sectionMessageOf(field);
    if (nested) return [own, ...allKeys(nested, path)];
    if (field.fieldKind === "map" && field.mapKind === "message")
      return [own, ...allKeys(field.message, [...path, "name"])];
    return [own];
  });
}
