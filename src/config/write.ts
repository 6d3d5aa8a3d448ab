import type { DescMessage } from "@bufbuild/protobuf";
import { stringify } from "yaml";
import type { Configuration } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { escapeDollars } from "./interpolation.ts";
import { CONFIGURATION, listedSectionOf, sectionMessageOf } from "./schema.ts";
import { plainValue } from "./value.ts";

/** A configuration as the text of a file that means the same. `text`: how texts are written there. */
export function writeYaml(configuration: Configuration, text: (text: string) => string = escapeDollars): string {
  return stringify(plainSection(CONFIGURATION, configuration, text), { lineWidth: 0 });
}

/** A configuration as keys and values, in the notation of files. */
export function plainConfiguration(configuration: Configuration): Record<string, unknown> {
  return plainSection(CONFIGURATION, configuration, (text) => text);
}

function plainSection(schema: DescMessage, message: object, text: (text: string) => string): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const field of schema.fields) {
    const value = (message as Record<string, unknown>)[field.localName];
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    const section = sectionMessageOf(field);
    const listed = listedSectionOf(field);
    if (section) plain[field.name] = plainSection(section, value as object, text);
    else if (listed) plain[field.name] = (value as object[]).map((nested) => plainSection(listed, nested, text));
    else if (field.fieldKind === "map") {
      const entries = Object.entries(value as Record<string, object | string>);
      if (entries.length === 0) continue;
      plain[field.name] = Object.fromEntries(
        entries.map(([key, entry]) => [
          key,
          field.mapKind === "message" ? plainSection(field.message, entry as object, text) : text(String(entry)),
        ]),
      );
    } else plain[field.name] = mapTexts(plainValue(field, value), text);
  }
  return plain;
}

function mapTexts(plain: ReturnType<typeof plainValue>, text: (text: string) => string): unknown {
  if (Array.isArray(plain)) return plain.map(text);
  return typeof plain === "string" ? text(plain) : plain;
}
