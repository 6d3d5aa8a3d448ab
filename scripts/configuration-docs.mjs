// What docs/configuration.md and docs/schema.json say, from the descriptor of the configuration message. Its comments
// are not in the generated code: buf reads them from proto/.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fromBinary, ScalarType } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { parse } from "yaml";
import { Notation } from "../gen/roadrunner/config/v1/setting_pb.ts";
import {
  boundsOf,
  CONFIGURATION,
  DURATION_MS_MAX,
  listedSectionOf,
  notationOf,
  notYetOf,
  sectionMessageOf,
  settingOf,
  UINT32_MAX,
} from "../src/config/schema.ts";
import { formatDuration, formatSize } from "../src/config/units.ts";
import { ROOT } from "./setup.mjs";

/** The reference page. `page`, `table` and `code` write markdown. */
export function configurationPage({ page, table, code }) {
  readComments();
  const rows = (message) =>
    message.fields.map((field) => [
      `${code(field.name)}${boundsOf(field).required ? " (required)" : ""}`,
      typeText(field),
      defaultText(field, code),
      meaningText(field, code),
    ]);
  const section = ({ title, message }) => {
    const notYet = notYetOf(message);
    return [
      `## ${title}`,
      comments.get(message.typeName),
      table(["Key", "Type", "Default", "Meaning"], rows(message)),
      ...(notYet.length > 0 ? [`RoadRunner's, not here yet, named in a warning: ${notYet.map(code).join(", ")}.`] : []),
    ].join("\n\n");
  };
  return page(
    "Configuration",
    "proto/roadrunner/config/v1/configuration.proto",
    INTRODUCTION,
    ...sectionsOf(CONFIGURATION).map(section),
  );
}

const INTRODUCTION = `The server reads \`.rr.yaml\` of the directory that it is started in, or the file given by \`-c\`. The file is YAML or JSON;
names and meanings are those of RoadRunner's version 3, keys marked *own* are not in RoadRunner; what behaves differently
on purpose is listed in [moving from RoadRunner](roadrunner.md). The smallest file that serves HTTP:

\`\`\`yaml
version: "3"
server:
  command: "php worker.php"
http:
  address: 127.0.0.1:8080
\`\`\`

\`rrctl config validate\` checks a file, \`rrctl config show --all\` shows what is in effect and where each value comes from.
Editors complete and check keys with [schema.json](schema.json): write
\`# yaml-language-server: $schema=<path or address of schema.json>\` as the first line of the file.

## How values are read

- **Order**: the file; env files; variables; \`-o key=value\`, later ones win; files of \`include\`, whose sections take the
  place of whole sections, also of what \`-o\` changed in them. What nothing says has its default.
- **Variables**: \`\${NAME}\`, \`$NAME\` and \`\${NAME:-default}\` in any text. The default counts if the variable is not set or
  empty. A key whose variable is empty counts as absent. \`$$\` is a dollar sign.
- **Env files**: NAME=value lines of \`--dotenv\` (or \`DOTENV_PATH\`, which stands above the flag) and \`envfile\`. What the
  environment already has wins. Workers get these variables too.
- **Overrides**: \`-o http.pool.num_workers=8\`, with dots between the parts of the key. Lists are written
  \`-o http.middleware=headers,gzip\` or \`[headers, gzip]\`.
- **Durations**: \`1m30s\`, \`500ms\`, \`1.5h\`; units are ns, us, ms, s, m, h. A bare number is seconds.
- **Sizes**: \`64KB\`, \`128MB\`, \`1.5GiB\`; units are powers of 1024, with or without the i. What a bare number means is said
  at each key.
- **Numbers and true or false** may be in quotes, which is how variables and overrides have them.
- **Lists of texts** may be one text with commas.
- Keys are the same in upper and lower case. A key with nothing behind it counts as absent. Top-level keys that start with
  \`x-\` are skipped: a place for YAML anchors.
- **Mistakes** are reported all at once with file, line and column. An unknown key is an error that names the nearest known
  one; a key of RoadRunner that this server does not have yet is a warning.`;

/** All sections in order of the file, each message once, with all paths that it stands at. */
function sectionsOf(root) {
  const byMessage = new Map([[root, []]]);
  const visit = (message, prefix) => {
    for (const field of message.fields) {
      const nested =
        sectionMessageOf(field) ?? listedSectionOf(field) ?? (field.fieldKind === "map" ? field.message : undefined);
      if (!nested) continue;
      const path = prefix + field.name + ({ map: ".<name>", list: "[]" }[field.fieldKind] ?? "");
      byMessage.set(nested, [...(byMessage.get(nested) ?? []), path]);
      visit(nested, `${path}.`);
    }
  };
  visit(root, "");
  return [...byMessage].map(([message, paths]) => ({
    title: paths.length === 0 ? "Top level" : paths.map((path) => `\`${path}\``).join(" and "),
    message,
  }));
}

function typeText(field) {
  const { min, max, texts } = boundsOf(field);
  const notation = notationOf(field);
  if (sectionMessageOf(field)) return "section";
  if (listedSectionOf(field)) return "list of sections";
  if (notation === Notation.COMMAND) return "text or list";
  if (field.fieldKind === "list") return "list of texts";
  if (field.fieldKind === "map") return field.mapKind === "message" ? "sections by name" : "texts by name";
  if (notation === Notation.DURATION) return `duration${rangeText(min, max, formatDuration)}`;
  if (notation === Notation.MEGABYTES || notation === Notation.BYTES) return `size${rangeText(min, max, formatSize)}`;
  if (field.scalar === ScalarType.BOOL) return "true or false";
  if (field.scalar === ScalarType.UINT32 || field.scalar === ScalarType.UINT64)
    return `number${rangeText(min, max, String)}`;
  if (texts) return texts.map((text) => `\`${text}\``).join(", ");
  const kinds = {
    [Notation.PATH]: "path",
    [Notation.ADDRESS]: "address",
    [Notation.HTTP_ADDRESS]: "address",
    [Notation.RELAY]: "address or `pipes`",
  };
  return kinds[notation] ?? "text";
}

function rangeText(min, max, format) {
  const bounded =
    max !== Number.MAX_SAFE_INTEGER && max !== DURATION_MS_MAX && (max !== UINT32_MAX || format !== String);
  if (bounded) return `, ${format(min)} to ${format(max)}`;
  return min > 0 ? `, at least ${format(min)}` : "";
}

function defaultText(field, code) {
  const setting = settingOf(field);
  if (!setting) return "–";
  if (setting.defaultKey !== "") {
    const same = `that of ${code(setting.defaultKey)}`;
    return setting.default === "" ? same : `${same}, else ${code(setting.default)}`;
  }
  if (setting.defaultFigure === "processors") return "number of processors";
  if (setting.defaultNote !== "") return setting.defaultNote.replace(/^(\w+\.\w+)$/, "`$1`");
  return setting.default === "" ? "–" : code(setting.default);
}

function meaningText(field, code) {
  const setting = settingOf(field);
  return [
    comments.get(pathOf(field)),
    setting?.withoutEffect ? `No effect: ${setting.withoutEffect}.` : "",
    setting?.zeroIsDefault ? "0 means the default." : "",
    setting?.example && setting.example !== setting.default ? `Example: ${code(setting.example)}.` : "",
    setting?.own ? "*Own.*" : "",
  ]
    .filter(Boolean)
    .join(" ");
}

/** The JSON schema for editors. It allows variables wherever the loader replaces them. */
export function configurationSchema() {
  readComments();
  const definitions = {
    variable: { type: "string", pattern: "\\$", description: "Text with variables of the environment in it." },
  };
  const schemaOf = (message) => {
    if (!definitions[message.name]) {
      const properties = {};
      definitions[message.name] = { type: ["object", "null"], additionalProperties: false, properties };
      for (const field of message.fields) properties[field.name] = fieldSchema(field, schemaOf);
      for (const key of notYetOf(message))
        properties[key] = { description: "RoadRunner has this, this server does not yet: it has no effect." };
    }
    return { $ref: `#/$defs/${message.name}` };
  };
  schemaOf(CONFIGURATION);
  const { [CONFIGURATION.name]: root, ...others } = definitions;
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $comment: "Generated from proto/roadrunner/config/v1/configuration.proto by `npm run gen`: change it there.",
    title: "Configuration of rrctl (.rr.yaml)",
    ...root,
    type: "object",
    required: CONFIGURATION.fields.filter((field) => boundsOf(field).required).map(({ name }) => name),
    patternProperties: { "^x-": {} },
    $defs: others,
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

const VARIABLE = { $ref: "#/$defs/variable" };
const TEXT_LIKE = { type: ["string", "number", "boolean", "null"] };
const TEXTS = { type: "array", items: { type: ["string", "number", "boolean"] } };

function fieldSchema(field, schemaOf) {
  const setting = settingOf(field);
  const about = {
    description: [comments.get(pathOf(field)), setting?.withoutEffect && `No effect: ${setting.withoutEffect}.`]
      .filter(Boolean)
      .join(" "),
    ...(setting?.default && { default: parse(setting.default) }),
    ...(setting?.example && { examples: [parse(setting.example)] }),
  };
  return { ...about, ...valueSchema(field, schemaOf) };
}

function valueSchema(field, schemaOf) {
  const { min, max, texts, pattern, keyPattern } = boundsOf(field);
  const notation = notationOf(field);
  const section = sectionMessageOf(field);
  if (section) return { allOf: [schemaOf(section)] };
  if (listedSectionOf(field)) return { type: "array", items: schemaOf(listedSectionOf(field)) };
  if (notation === Notation.COMMAND)
    return { anyOf: [{ type: "string" }, { ...TEXTS, minItems: 1 }, { type: "null" }] };
  if (field.fieldKind === "list") return { anyOf: [TEXTS, TEXT_LIKE] };
  if (field.fieldKind === "map") {
    const values = field.mapKind === "message" ? schemaOf(field.message) : TEXT_LIKE;
    const map = {
      type: ["object", "null"],
      ...(keyPattern
        ? { additionalProperties: false, patternProperties: { [keyPattern.source]: values } }
        : { additionalProperties: values }),
    };
    return field.mapKind === "message" ? map : { anyOf: [map, { type: "array", items: map }] };
  }
  if (notation === Notation.DURATION)
    return {
      anyOf: [
        { type: "string", pattern: "^\\+?((\\d+(\\.\\d*)?|\\.\\d+)(ns|us|µs|μs|ms|s|m|h))+$|^\\d+(\\.\\d+)?$" },
        { type: ["number", "null"], minimum: min / 1000, maximum: max / 1000 },
        VARIABLE,
      ],
    };
  if (notation === Notation.MEGABYTES || notation === Notation.BYTES)
    return {
      anyOf: [
        { type: "string", pattern: "^\\d+(\\.\\d+)?\\s*([kKmMgGtT]?[iI]?[bB]?)$" },
        { type: ["number", "null"], minimum: 0 },
        VARIABLE,
      ],
    };
  if (field.scalar === ScalarType.BOOL)
    return { anyOf: [{ type: ["boolean", "null"] }, { enum: ["true", "false", "1", "0", 1, 0] }, VARIABLE] };
  if (field.scalar === ScalarType.UINT32 || field.scalar === ScalarType.UINT64) {
    return {
      anyOf: [
        { type: ["integer", "null"], minimum: min, maximum: max },
        ...(settingOf(field)?.zeroIsDefault && min > 0 ? [{ enum: [0] }] : []),
        { type: "string", pattern: "^\\d+$" },
        VARIABLE,
      ],
    };
  }
  if (texts) return { anyOf: [{ enum: [...texts, ...(boundsOf(field).required ? [] : [null])] }, VARIABLE] };
  if (pattern) return { anyOf: [{ type: ["string", "number", "null"], pattern: pattern.source }, VARIABLE] };
  return { type: ["string", "number", "boolean", "null"] };
}

function pathOf(field) {
  return `${field.parent.typeName}.${field.name}`;
}

let comments;

/** Comments of messages by type name and of fields by "message.field", in one line each. */
function readComments() {
  comments ??= new Map(
    commentsAt().flatMap(({ path, leadingComments }) => {
      const name = nameAt(path);
      return name === undefined ? [] : [[name, leadingComments.trim().replace(/\s*\n\s*/g, " ")]];
    }),
  );
  return comments;
}

function commentsAt() {
  const buf = join(ROOT, "node_modules", "@bufbuild", "buf", "bin", "buf");
  const { status, stdout, stderr } = spawnSync(process.execPath, [buf, "build", "-o", "-"], {
    cwd: ROOT,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`buf build: ${stderr}`);
  const files = fromBinary(FileDescriptorSetSchema, stdout).file;
  return files.find(({ name }) => name === CONFIGURATION.file.proto.name).sourceCodeInfo.location;
}

/** In a descriptor's source information [4, m] is message m of the file, [4, m, 2, f] is field f of that. */
function nameAt([kind, messageIndex, member, fieldIndex, ...rest]) {
  const message = kind === 4 ? CONFIGURATION.file.messages[messageIndex] : undefined;
  if (!message || rest.length > 0) return undefined;
  if (member === undefined) return message.typeName;
  return member === 2 && fieldIndex !== undefined ? pathOf(message.fields[fieldIndex]) : undefined;
}
