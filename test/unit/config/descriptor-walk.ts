import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { CONFIGURATION, listedSectionOf, sectionMessageOf } from "../../../src/config/schema.ts";

export interface Key {
  readonly field: DescField;
  readonly section: DescMessage;
  /** Keys on the way, with "name" for those of maps, "0" for items of lists: ["pools", "name", "num_workers"]. */
  readonly path: readonly string[];
}

/** All keys of the configuration, sections included, in order. */
export function allKeys(section: DescMessage = CONFIGURATION, prefix: readonly string[] = []): Key[] {
  return section.fields.flatMap((field): Key[] => {
    const path = [...prefix, field.name];
    const own: Key = { field, section, path };
    const nested = sectionMessageOf(field);
    if (nested) return [own, ...allKeys(nested, path)];
    const listed = listedSectionOf(field);
    if (listed) return [own, ...allKeys(listed, [...path, "0"])];
    if (field.fieldKind === "map" && field.mapKind === "message")
      return [own, ...allKeys(field.message, [...path, "name"])];
    return [own];
  });
}
