import { clone, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { type Configuration, ConfigurationSchema } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { Notation, Sensitivity } from "../../gen/roadrunner/config/v1/setting_pb.ts";
import type { Environment } from "./interpolation.ts";
import type { ValueSource } from "./reader.ts";
import { boundsOf, CONFIGURATION, listedSectionOf, notationOf, sectionMessageOf, settingOf } from "./schema.ts";
import { looksSecret, MASK, maskText, urlPasswords } from "./secret-text.ts";

type Sources = ReadonlyMap<string, ValueSource>;
type Fields = Record<string, unknown>;

export interface MaskedConfiguration {
  /** Without its secrets: "***" in their place, and texts with variables as they were written. */
  readonly message: Configuration;
  /** What was masked, to be masked wherever else it shows. */
  readonly secrets: readonly string[];
}

/**
 * A configuration for everybody's eyes. Numbers, times, sizes, choices and addresses are shown wherever they come from:
 * they are no secrets, and the server shows them in other places anyway.
 *
 * @param literal how texts without variables are written
 */
export function maskConfiguration(
  message: Configuration,
  sources: Sources,
  literal: (text: string) => string = (text) => text,
): MaskedConfiguration {
  const masked = clone(ConfigurationSchema, message);
  const secrets: string[] = [];
  maskSection(CONFIGURATION, masked as unknown as Fields, "", { sources, secrets, literal });
  return { message: masked, secrets };
}

/** What of the environment looks like a secret, whether the configuration names it or not: PHP gets it, and may print it. */
export function environmentSecrets(env: Environment): string[] {
  return Object.entries(env).flatMap(([name, value = ""]) =>
    looksSecret(name) && !NAMES_A_PLACE.test(name) && value.length >= ENVIRONMENT_SECRET_LENGTH_MIN
      ? [value]
      : urlPasswords(value),
  );
}

/** Environments have many short values that mean nothing. */
const ENVIRONMENT_SECRET_LENGTH_MIN = 8;
/** A shell's PWD is where it stands, no password; DB_PASSWORD_FILE and SSH_AUTH_SOCK say where a secret is. */
const NAMES_A_PLACE = /^(?:OLD)?PWD$|_(?:FILE|PATH|DIR|DIRECTORY|SOCK|SOCKET)$/;

interface Masking {
  readonly sources: Sources;
  readonly secrets: string[];
  readonly literal: (text: string) => string;
}

function maskSection(schema: DescMessage, fields: Fields, prefix: string, masking: Masking): void {
  for (const field of schema.fields) {
    const value = fields[field.localName];
    if (value === undefined) continue;
    const path = prefix + field.name;
    const section = sectionMessageOf(field);
    const listed = listedSectionOf(field);
    if (section) maskSection(section, value as Fields, `${path}.`, masking);
    else if (listed)
      for (const [index, entry] of (value as Fields[]).entries())
        maskSection(listed, entry, `${path}.${index}.`, masking);
    else if (field.fieldKind === "map") maskMap(field, value as Fields, path, masking);
    else fields[field.localName] = maskValue(field, value, path, masking);
  }
}

function maskMap(field: DescField & { fieldKind: "map" }, entries: Fields, path: string, masking: Masking): void {
  for (const [key, value] of Object.entries(entries))
    if (field.mapKind === "message") maskSection(field.message, value as Fields, `${path}.${key}.`, masking);
    else {
      const isSecret = settingOf(field)?.sensitivity === Sensitivity.BY_NAME && looksSecret(key);
      entries[key] = isSecret ? hide(String(value), masking) : maskTexts(value, `${path}.${key}`, masking);
    }
}

function maskValue(field: DescField, value: unknown, path: string, masking: Masking): unknown {
  const isText = typeof value === "string" || (Array.isArray(value) && value.every((item) => typeof item === "string"));
  if (!isText || boundsOf(field).texts || OPEN_NOTATIONS.has(notationOf(field))) return value;
  if (settingOf(field)?.sensitivity === Sensitivity.SECRET)
    return Array.isArray(value) ? value.map((item) => hide(String(item), masking)) : hide(String(value), masking);
  return maskTexts(value, path, masking);
}

const OPEN_NOTATIONS: ReadonlySet<Notation> = new Set([Notation.ADDRESS, Notation.HTTP_ADDRESS, Notation.RELAY]);

/** As it was written, if variables are in it; passwords are masked by their form. */
function maskTexts(value: unknown, path: string, masking: Masking): unknown {
  const source = masking.sources.get(path);
  const written = source && source.variables.length > 0 ? source.template : undefined;
  const { secrets, literal } = masking;
  const texts = (Array.isArray(value) ? value : [value]).map(String);
  secrets.push(...texts.flatMap(urlPasswords));
  const shown = written === undefined ? texts.map(literal) : typeof written === "string" ? [written] : written;
  if (!Array.isArray(value)) return maskText(shown[0]!);
  // A command that was written as text is a list in the message.
  const items = typeof written === "string" ? maskText(written).split(/\s+/) : shown;
  return items.map((item, at) => maskItem(item, items[at - 1] ?? ""));
}

/** What an option names stands in the next item, or after a "=" to the end of its own. */
function maskItem(item: string, before: string): string {
  if (/^--?[A-Za-z][\w-]*$/.test(before) && looksSecret(before) && !item.startsWith("-")) return MASK;
  const [start, name] = /^-{0,2}([A-Za-z][\w.-]*)=/.exec(item) ?? [];
  return start !== undefined && looksSecret(name!) && item !== start ? `${start}${MASK}` : maskText(item);
}

function hide(value: string, { secrets }: Masking): string {
  if (value === "") return "";
  secrets.push(value);
  return MASK;
}
