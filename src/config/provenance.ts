import type { DescMessage } from "@bufbuild/protobuf";
import type { Configuration } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import type { ValueSource } from "./reader.ts";
import { CONFIGURATION, listedSectionOf, sectionMessageOf } from "./schema.ts";
import { plainValue } from "./value.ts";

/** Where a value in force comes from. */
export interface Provenance {
  /** Path of the key, with dots. */
  readonly path: string;
  /** The value, as it would be written. */
  readonly value: string;
  readonly kind: "default" | "file" | "environment" | "override" | "include";
  /** For people: "default", "file:line:column", "file:line:column, ${NAME}", "-o key=value". */
  readonly origin: string;
}

type Sources = ReadonlyMap<string, ValueSource>;

/** One entry for each value of a configuration that is complete, in order of the descriptor. */
export function provenanceOf(message: Configuration, sources: Sources): Provenance[] {
  return ofSection(CONFIGURATION, message, "", sources);
}

function ofSection(schema: DescMessage, message: object, prefix: string, sources: Sources): Provenance[] {
  return schema.fields.flatMap((field) => {
    const path = prefix + field.name;
    const value = (message as Record<string, unknown>)[field.localName];
    if (value === undefined) return [];
    const section = sectionMessageOf(field);
    if (section) return ofSection(section, value as object, `${path}.`, sources);
    const listed = listedSectionOf(field);
    if (listed)
      return (value as object[]).flatMap((entry, index) => ofSection(listed, entry, `${path}.${index}.`, sources));
    if (field.fieldKind === "map")
      return Object.entries(value as Record<string, object | string>).flatMap(([key, entry]) =>
        field.mapKind === "message"
          ? ofSection(field.message, entry as object, `${path}.${key}.`, sources)
          : [ofValue(`${path}.${key}`, String(entry), sources)],
      );
    if (Array.isArray(value) && value.length === 0 && !sources.has(path)) return [];
    const plain = plainValue(field, value);
    return [ofValue(path, Array.isArray(plain) ? JSON.stringify(plain) : String(plain), sources)];
  });
}

function ofValue(path: string, value: string, sources: Sources): Provenance {
  const source = sources.get(path);
  if (!source) return { path, value, kind: "default", origin: "default" };
  const { place, variables } = source;
  const position = place.line > 0 ? `${place.file}:${place.line}:${place.column}` : place.file;
  if (place.kind === "override" || variables.length === 0) return { path, value, kind: place.kind, origin: position };
  const names = [...new Set(variables)].map((name) => `\${${name}}`).join(", ");
  return { path, value, kind: "environment", origin: `${position}, ${names}` };
}
