// Writes proto/buf/validate/validate.proto from the descriptor inside the npm package @bufbuild/protovalidate, so that
// `buf` resolves the import without its registry. Run it after upgrading that package. Comments and the rules' own CEL
// definitions are not needed to use the rules and are left out.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate as file } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

const lines = ['syntax = "proto2";', "", `package ${file.proto.package};`, ""];
for (const dependency of file.proto.dependency) lines.push(`import "${dependency}";`);
lines.push("");

const scalarName = (scalar) => ScalarType[scalar].toLowerCase();
const typeName = (field) => {
  if (field.fieldKind === "map") {
    const value = field.mapKind === "scalar" ? scalarName(field.scalar) : `.${(field.message ?? field.enum).typeName}`;
    return `map<${scalarName(field.mapKey)}, ${value}>`;
  }
  const type = field.message ?? field.enum;
  return type ? `.${type.typeName}` : scalarName(field.scalar);
};
const labelOf = (field) => {
  if (field.oneof || field.fieldKind === "map") return "";
  if (field.fieldKind === "list") return "repeated ";
  return field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED ? "required " : "optional ";
};
const printField = (field, indent) =>
  lines.push(`${indent}${labelOf(field)}${typeName(field)} ${field.name} = ${field.number};`);

function printEnum(descriptor, indent) {
  lines.push(`${indent}enum ${descriptor.name} {`);
  for (const range of descriptor.proto.reservedRange) lines.push(`${indent}  reserved ${range.start};`);
  if (descriptor.proto.options?.allowAlias) lines.push(`${indent}  option allow_alias = true;`);
  for (const value of descriptor.values) lines.push(`${indent}  ${value.name} = ${value.number};`);
  lines.push(`${indent}}`, "");
}

function printMessage(descriptor, indent) {
  lines.push(`${indent}message ${descriptor.name} {`);
  for (const member of descriptor.members) {
    if (member.kind === "oneof") {
      lines.push(`${indent}  oneof ${member.name} {`);
      for (const field of member.fields) printField(field, `${indent}    `);
      lines.push(`${indent}  }`);
    } else printField(member, `${indent}  `);
  }
  for (const range of descriptor.proto.extensionRange)
    lines.push(`${indent}  extensions ${range.start} to ${range.end > 536870000 ? "max" : range.end - 1};`);
  for (const nested of descriptor.nestedEnums) printEnum(nested, `${indent}  `);
  for (const nested of descriptor.nestedMessages) printMessage(nested, `${indent}  `);
  lines.push(`${indent}}`, "");
}

for (const extension of file.extensions) {
  lines.push(`extend .${extension.extendee.typeName} {`);
  printField(extension, "  ");
  lines.push("}", "");
}
for (const descriptor of file.enums) printEnum(descriptor, "");
for (const descriptor of file.messages) printMessage(descriptor, "");

const target = join(dirname(fileURLToPath(import.meta.url)), "..", "proto", "buf", "validate", "validate.proto");
mkdirSync(dirname(target), { recursive: true });
writeFileSync(
  target,
  `${lines
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trimEnd()}\n`,
);
