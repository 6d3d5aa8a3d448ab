import { create, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { listedSectionOf, sectionMessageOf, settingOf } from "./schema.ts";
import { parseSource } from "./source.ts";
import { scalar } from "./source-node.ts";
import { readValue } from "./value.ts";

/** Figures of the machine that serve as defaults, by the names that the descriptor has for them. */
export type Figures = Readonly<Record<string, number>>;

type Fields = Record<string, unknown>;

/** Fills what was not written, from the defaults in the descriptor: the one place that applies any. Changes `message`. */
export function applyDefaults(schema: DescMessage, message: object, figures: Figures): void {
  const fields = message as Fields;
  for (const field of schema.fields) {
    const section = sectionMessageOf(field);
    const listed = listedSectionOf(field);
    if (listed) {
      for (const nested of fields[field.localName] as object[]) applyDefaults(listed, nested, figures);
    } else if (section) {
      if (fields[field.localName] === undefined && settingOf(field)?.implied) fields[field.localName] = create(section);
      const nested = fields[field.localName];
      if (nested !== undefined) applyDefaults(section, nested as object, figures);
    } else if (field.fieldKind === "map") {
      if (field.mapKind !== "message") continue;
      for (const nested of Object.values(fields[field.localName] as Record<string, object>))
        applyDefaults(field.message, nested, figures);
    } else if (isAbsent(fields[field.localName])) {
      const value = defaultOf(field, schema, fields, figures);
      if (value !== undefined) fields[field.localName] = value;
    }
  }
}

function isAbsent(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

/** A key whose default is another key stands below that one in the descriptor. */
function defaultOf(field: DescField, schema: DescMessage, fields: Fields, figures: Figures): unknown {
  const setting = settingOf(field);
  if (!setting) return undefined;
  const other = schema.fields.find(({ name }) => name === setting.defaultKey);
  const same = other && fields[other.localName];
  if (same !== undefined) return same;
  if (setting.defaultFigure !== "") return figures[setting.defaultFigure];
  return setting.default === "" ? undefined : parseDefault(field, setting.default);
}

const DEFAULT_PLACE = { kind: "default", file: "default", line: 0, column: 0 } as const;

/** The text of a default is what a file would have. */
export function parseDefault(field: DescField, text: string): unknown {
  const written = /^["[{]/.test(text)
    ? parseSource(`value: ${text}`, "default", "file").root!.entries[0]!.node
    : scalar(text, DEFAULT_PLACE);
  const read = readValue(field, written);
  if ("error" in read) throw new Error(`the default of ${field.name} is no value of it: ${read.error}`);
  return read.value;
}
