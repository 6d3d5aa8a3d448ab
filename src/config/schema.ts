import { type DescField, type DescMessage, getOption, hasOption } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { type FieldRules, field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { ConfigurationSchema } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import {
  Notation,
  type Setting,
  section as sectionOption,
  setting as settingOption,
} from "../../gen/roadrunner/config/v1/setting_pb.ts";

/** The descriptor of the configuration is the one place that knows keys, types, bounds and defaults. */
export const CONFIGURATION: DescMessage = ConfigurationSchema;

const DURATION_TYPE = "google.protobuf.Duration";

/** Options of descriptors are decoded anew each time they are asked for, and a configuration asks for thousands. */
function remembered<Known>(look: (field: DescField) => Known): (field: DescField) => Known {
  const known = new Map<DescField, Known>();
  return (field) => {
    if (!known.has(field)) known.set(field, look(field));
    return known.get(field)!;
  };
}

export const settingOf = remembered((field): Setting | undefined =>
  hasOption(field, settingOption) ? getOption(field, settingOption) : undefined,
);

export function notationOf(field: DescField): Notation {
  if (field.fieldKind === "message" && field.message.typeName === DURATION_TYPE) return Notation.DURATION;
  return settingOf(field)?.notation ?? Notation.UNSPECIFIED;
}

/** The message of a section; undefined for a field that holds a value. */
export function sectionMessageOf(field: DescField): DescMessage | undefined {
  return field.fieldKind === "message" && notationOf(field) === Notation.UNSPECIFIED ? field.message : undefined;
}

/** The message of the sections in a list of them; undefined for all other fields. */
export function listedSectionOf(field: DescField): DescMessage | undefined {
  return field.fieldKind === "list" && field.listKind === "message" ? field.message : undefined;
}

/** Keys of RoadRunner that this section does not have yet. */
export function notYetOf(message: DescMessage): readonly string[] {
  return hasOption(message, sectionOption) ? getOption(message, sectionOption).notYet : [];
}

/** Limits of a value, in its own unit: numbers as they are, sizes in bytes, times in milliseconds. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
  /** Texts that are allowed; all if undefined. */
  readonly texts: readonly string[] | undefined;
  readonly pattern: RegExp | undefined;
  readonly keyPattern: RegExp | undefined;
  readonly required: boolean;
}

export const UINT32_MAX = 0xffff_ffff;
/** 10,000 years: protobuf has no longer Duration. */
export const DURATION_MS_MAX = 315_576_000_000_000;

/** The largest value where no rule sets one. */
const UNBOUNDED: Readonly<Record<number, number>> = {
  [Notation.UNSPECIFIED]: UINT32_MAX,
  [Notation.DURATION]: DURATION_MS_MAX,
};

/**
 * Reads the rules that the API's validator applies as well. Loading that one takes longer than everything else here
 * together, so the few kinds of rules that configurations need are known here.
 */
export const boundsOf = remembered((field): Bounds => {
  const rules = hasOption(field, fieldRules) ? (getOption(field, fieldRules) as FieldRules) : undefined;
  const type = rules?.type;
  const range = { min: 0, max: UNBOUNDED[notationOf(field)] ?? Number.MAX_SAFE_INTEGER };
  if (type?.case === "uint32" || type?.case === "uint64" || type?.case === "duration") {
    const { greaterThan, lessThan } = type.value;
    if (greaterThan.case === "gte") range.min = limit(greaterThan.value);
    if (lessThan.case === "lte") range.max = limit(lessThan.value);
  }
  const text = type?.case === "string" ? type.value : undefined;
  const keys = type?.case === "map" ? type.value.keys?.type : undefined;
  return {
    ...range,
    texts: text && text.in.length > 0 ? text.in : undefined,
    pattern: text?.pattern ? new RegExp(text.pattern) : undefined,
    keyPattern: keys?.case === "string" && keys.value.pattern !== "" ? new RegExp(keys.value.pattern) : undefined,
    required: rules?.required ?? false,
  };
});

function limit(value: number | bigint | Duration): number {
  return typeof value === "object" ? durationMs(value) : Number(value);
}

/** Paths of all sections and keys by name: "num_workers" → "http.pool.num_workers", "pools.<name>.num_workers". */
export function pathsByKey(): ReadonlyMap<string, readonly string[]> {
  const paths = new Map<string, string[]>();
  const visit = (section: DescMessage, prefix: string) => {
    for (const field of section.fields) {
      const path = prefix + field.name;
      paths.set(field.name, [...(paths.get(field.name) ?? []), path]);
      const nested = sectionMessageOf(field);
      const listed = listedSectionOf(field);
      if (nested) visit(nested, `${path}.`);
      else if (listed) visit(listed, `${path}.<number>.`);
      else if (field.fieldKind === "map" && field.mapKind === "message") visit(field.message, `${path}.<name>.`);
    }
  };
  visit(CONFIGURATION, "");
  return paths;
}
