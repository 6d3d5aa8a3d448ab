import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { DurationSchema, durationFromMs } from "@bufbuild/protobuf/wkt";
import { isMap, isScalar, isSeq, type Node, type Pair, type Scalar } from "yaml";
import { CommandSchema } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { Notation } from "../../gen/roadrunner/config/v1/setting_pb.ts";
import { type Environment, interpolate } from "./interpolation.ts";
import { nearest } from "./nearest.ts";
import type { Problem } from "./problem.ts";
import { boundsOf, fieldOf, isNotYet, keysOf, notationOf } from "./schema.ts";
import type { Section, Source } from "./source.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "./units.ts";

const MEGABYTE = 1024 * 1024;

/** Where a value was written, for messages and for the provenance of values. */
interface Place {
  readonly source: Source;
  readonly path: string;
}

/**
 * YAML nodes to the configuration message, led by its descriptor. All problems are collected, each with its position;
 * what is wrong is left out of the message.
 */
export class Reader {
  readonly problems: Problem[] = [];
  /** Where each value comes from, by path. */
  readonly origins = new Map<string, string>();
  readonly #env: Environment;
  /** Values that were put in by `-o`, which have no place in a file. */
  readonly #overrideTexts: ReadonlyMap<Node, string>;

  constructor(env: Environment, overrideTexts: ReadonlyMap<Node, string>) {
    this.#env = env;
    this.#overrideTexts = overrideTexts;
  }

  /** Reads the top-level sections. */
  read<Shape extends Message>(
    schema: (DescMessage & { readonly $typeName?: never }) | DescMessage,
    sections: readonly Section[],
  ): Shape {
    const message = reflect(schema);
    for (const { key, keyNode, value, source } of sections)
      this.#entry(message, key, keyNode, value, { source, path: "" });
    return message.message as Shape;
  }

  #entry(target: ReflectMessage, key: string, keyNode: Node | null, value: Node | null, parent: Place): void {
    const place = { source: parent.source, path: parent.path === "" ? key : `${parent.path}.${key}` };
    const field = fieldOf(target.desc, key);
    if (!field) return this.#unknown(target.desc, key, keyNode, parent);
    if (value === null || (isScalar(value) && value.value === null)) {
      // `http:` with nothing under it is a section that is there, with all defaults.
      if (field.fieldKind === "message" && notationOf(field) === Notation.UNSPECIFIED)
        target.set(field, reflect(field.message));
      return;
    }
    this.#assign(target, field, value, place);
  }

  #unknown(message: DescMessage, key: string, keyNode: Node | null, parent: Place): void {
    const path = parent.path === "" ? key : `${parent.path}.${key}`;
    if (isNotYet(parent.path, key)) {
      this.#report(
        keyNode,
        { ...parent, path },
        `RoadRunner knows this section, but it is not supported here yet: it has no effect`,
        "warning",
      );
      return;
    }
    const known = keysOf(message);
    const meant = nearest(key, known);
    this.#report(
      keyNode,
      { ...parent, path },
      `unknown key "${key}"; ${meant ? `did you mean "${meant}"?` : `known here: ${known.join(", ")}`}`,
    );
  }

  #assign(target: ReflectMessage, field: DescField, node: Node, place: Place): void {
    const notation = notationOf(field);
    if (notation === Notation.COMMAND) {
      const command = this.#command(node, place);
      if (command)
        this.#set(target, field, reflect(CommandSchema, create(CommandSchema, { arguments: command })), node, place);
    } else if (notation === Notation.DURATION) {
      const ms = this.#duration(field, node, place);
      if (ms !== undefined) this.#set(target, field, reflect(DurationSchema, durationFromMs(ms)), node, place);
    } else if (field.fieldKind === "message") this.#section(target, field.message, field, node, place);
    else if (field.fieldKind === "map") this.#map(target, field, node, place);
    else if (field.fieldKind === "list") this.#list(target, field, node, place);
    else {
      const value = this.#scalar(field, node, place);
      if (value !== undefined) this.#set(target, field, value, node, place);
    }
  }

  #set(target: ReflectMessage, field: DescField, value: unknown, node: Node, place: Place): void {
    target.set(field, value);
    this.origins.set(place.path, this.#origin(node, place.source));
  }

  #origin(node: Node, source: Source): string {
    const override = this.#overrideTexts.get(node);
    if (override !== undefined) return `-o ${override}`;
    const { line, column } = source.position(node);
    return `${source.name}:${line}:${column}`;
  }

  #section(target: ReflectMessage, schema: DescMessage, field: DescField, node: Node, place: Place): void {
    const message = this.#message(schema, node, place);
    if (message) target.set(field, message);
  }

  #message(schema: DescMessage, node: Node, place: Place): ReflectMessage | undefined {
    if (!isMap(node)) {
      this.#report(
        node,
        place,
        `expected keys and values (${keysOf(schema).slice(0, 4).join(", ")}, ...), got ${shown(node)}`,
      );
      return undefined;
    }
    const message = reflect(schema);
    for (const pair of node.items as Pair<Scalar, Node | null>[])
      this.#entry(message, String(pair.key.value), pair.key, pair.value, place);
    return message;
  }

  #map(target: ReflectMessage, field: DescField & { fieldKind: "map" }, node: Node, place: Place): void {
    if (!isMap(node)) return this.#report(node, place, `expected names and values, got ${shown(node)}`);
    const map = target.get(field);
    for (const pair of node.items as Pair<Scalar, Node | null>[]) {
      const key = String(pair.key.value);
      const entry = { ...place, path: `${place.path}.${key}` };
      if (field.mapKind === "message") {
        if (key.includes(".")) this.#report(pair.key, entry, `the name "${key}" has a dot in it: choose one without`);
        const message = pair.value === null ? reflect(field.message) : this.#message(field.message, pair.value, entry);
        if (message) map.set(key, message);
      } else if (isScalar(pair.value)) {
        map.set(key, interpolate(String(pair.value.value ?? ""), this.#env));
        this.origins.set(entry.path, this.#origin(pair.value, place.source));
      } else this.#report(pair.value ?? pair.key, entry, `expected text, got ${shown(pair.value)}`);
    }
  }

  #list(target: ReflectMessage, field: DescField & { fieldKind: "list" }, node: Node, place: Place): void {
    const items = isSeq(node) ? (node.items as Node[]) : isScalar(node) ? [node] : undefined;
    if (!items) return this.#report(node, place, `expected a list, got ${shown(node)}`);
    const list = target.get(field);
    for (const item of items) {
      if (isScalar(item) && item.value !== null) list.add(interpolate(String(item.value), this.#env));
      else this.#report(item, place, `expected text in the list, got ${shown(item)}`);
    }
    this.origins.set(place.path, this.#origin(node, place.source));
  }

  #command(node: Node, place: Place): string[] | undefined {
    if (isSeq(node)) {
      const parts = (node.items as Node[]).map((item) =>
        isScalar(item) ? interpolate(String(item.value), this.#env) : undefined,
      );
      if (parts.length > 0 && parts.every((part) => part !== undefined && part !== "")) return parts as string[];
    } else if (isScalar(node) && typeof node.value === "string") {
      const parts = interpolate(node.value, this.#env)
        .split(/\s+/)
        .filter((part) => part !== "");
      if (parts.length > 0) return parts;
    }
    this.#report(node, place, `expected a command, such as "php worker.php" or [php, worker.php], got ${shown(node)}`);
    return undefined;
  }

  #duration(field: DescField, node: Node, place: Place): number | undefined {
    const text = isScalar(node) ? interpolate(String(node.value), this.#env) : undefined;
    const bare = text !== undefined && /^\d+(\.\d+)?$/.test(text.trim());
    // A bare number is seconds, as in RoadRunner 1 and in the keys of RoadRunner that are counted in seconds.
    const ms = text === undefined ? undefined : bare ? Number(text) * 1000 : parseDuration(text);
    if (ms === undefined) {
      this.#report(node, place, `expected a time such as "60s", "1m30s" or "500ms", got ${shown(node, text)}`);
      return undefined;
    }
    return this.#withinBounds(field, ms, node, place, formatDuration) ? ms : undefined;
  }

  #scalar(field: DescField & { fieldKind: "scalar" | "enum" }, node: Node, place: Place): unknown {
    if (!isScalar(node)) {
      this.#report(node, place, `expected ${expectation(field)}, got ${shown(node)}`);
      return undefined;
    }
    const raw = typeof node.value === "string" ? interpolate(node.value, this.#env) : node.value;
    switch (field.scalar) {
      case ScalarType.BOOL:
        return this.#boolean(field, raw, node, place);
      case ScalarType.UINT32:
      case ScalarType.UINT64:
        return this.#number(field, raw, node, place);
      default:
        return this.#text(field, raw, node, place);
    }
  }

  #boolean(field: DescField, raw: unknown, node: Node, place: Place): boolean | undefined {
    if (typeof raw === "boolean") return raw;
    if (raw === "true" || raw === "false") return raw === "true";
    this.#report(node, place, `expected ${expectation(field)}, got ${shown(node, raw)}`);
    return undefined;
  }

  #number(field: DescField, raw: unknown, node: Node, place: Place): number | bigint | undefined {
    const number = numberOf(notationOf(field), raw);
    if (number === undefined || !Number.isSafeInteger(number) || number < 0) {
      this.#report(node, place, `expected ${expectation(field)}, got ${shown(node, raw)}`);
      return undefined;
    }
    const format = notationOf(field) === Notation.UNSPECIFIED ? String : formatSize;
    if (!this.#withinBounds(field, number, node, place, format)) return undefined;
    if (field.scalar === ScalarType.UINT64) return BigInt(number);
    if (number <= 0xffff_ffff) return number;
    this.#report(node, place, `expected ${expectation(field)}, got ${number}`);
    return undefined;
  }

  #text(field: DescField, raw: unknown, node: Node, place: Place): string | undefined {
    const { texts } = boundsOf(field);
    // "3" without quotes is a number to YAML; RoadRunner insists on text here, and says so as well.
    if (typeof raw !== "string") {
      this.#report(node, place, `expected text, got ${shown(node)}: put quotes around it, "${String(raw)}"`);
      return undefined;
    }
    if (!texts || texts.includes(raw)) return raw;
    const meant = nearest(raw, texts);
    const hint = meant && texts.length > 1 ? `; did you mean "${meant}"?` : "";
    this.#report(node, place, `expected ${texts.map((text) => `"${text}"`).join(", ")}, got "${raw}"${hint}`);
    return undefined;
  }

  #withinBounds(field: DescField, value: number, node: Node, place: Place, format: (value: number) => string): boolean {
    const { min, max } = boundsOf(field);
    if (value >= (min ?? 0) && value <= (max ?? Number.POSITIVE_INFINITY)) return true;
    const range = max === undefined ? `at least ${format(min ?? 0)}` : `${format(min ?? 0)} to ${format(max)}`;
    this.#report(node, place, `expected ${range}, got ${format(value)}`);
    return false;
  }

  #report(node: Node | null, place: Place, message: string, severity: Problem["severity"] = "error"): void {
    const override = node ? this.#overrideTexts.get(node) : undefined;
    if (override !== undefined) {
      this.problems.push({ file: `-o ${override}`, line: 0, column: 0, path: place.path, message, severity });
      return;
    }
    const { line, column } = place.source.position(node);
    this.problems.push(place.source.problem(line, column, place.path, message, severity));
  }
}

function numberOf(notation: Notation, raw: unknown): number | undefined {
  if (notation === Notation.MEGABYTES) return parseSize(String(raw), MEGABYTE);
  if (notation === Notation.BYTES) return parseSize(String(raw), 1);
  if (typeof raw === "number") return raw;
  return typeof raw === "string" && /^\d+$/.test(raw.trim()) ? Number(raw) : undefined;
}

function expectation(field: DescField): string {
  const notation = notationOf(field);
  if (notation === Notation.MEGABYTES) return 'a size such as "64MB" (a bare number is megabytes)';
  if (notation === Notation.BYTES) return 'a size such as "64KB" (a bare number is bytes)';
  if (field.scalar === ScalarType.BOOL) return "true or false";
  if (field.scalar === ScalarType.UINT32 || field.scalar === ScalarType.UINT64) return "a whole number from 0 on";
  return "text";
}

/** A value as a message shows it. */
function shown(node: Node | null, value?: unknown): string {
  if (isMap(node)) return "keys and values";
  if (isSeq(node)) return "a list";
  const shownValue = value ?? (isScalar(node) ? node.value : undefined);
  if (shownValue === null || shownValue === undefined) return "nothing";
  return typeof shownValue === "string" ? `"${shownValue}"` : String(shownValue);
}
