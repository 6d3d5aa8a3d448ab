import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { Notation } from "../../gen/roadrunner/config/v1/setting_pb.ts";
import { nearest } from "./nearest.ts";
import type { Problem } from "./problem.ts";
import { boundsOf, listedSectionOf, notationOf, notYetOf, pathsByKey, sectionMessageOf, settingOf } from "./schema.ts";
import {
  type Entry,
  isEmpty,
  type MapNode,
  type Place,
  problemAt,
  quoted,
  type SourceNode,
  shown,
  textOf,
} from "./source-node.ts";
import { isZero, plainValue, readValue } from "./value.ts";

/** Fields of a message by their local names, to make it of. */
type Init = Record<string, unknown>;

/** Where a value was written, and the variables it was made of. */
export interface ValueSource {
  readonly place: Place;
  readonly variables: readonly string[];
  /** As it was written, with its variables: a text, or the texts of a list. */
  readonly template?: string | readonly string[] | undefined;
  /** What the variables made of it. */
  readonly text?: string | undefined;
}

/**
 * What was written, as the message that a descriptor describes. Nothing here knows a key: the descriptor leads. All
 * problems are collected, each with its position; what is wrong is left out of the message.
 */
export class Reader {
  readonly problems: Problem[] = [];
  /** Where values come from, by path. */
  readonly sources = new Map<string, ValueSource>();
  /** Where sections and values start, by path, for problems that show only later. */
  readonly #places = new Map<string, Place>();
  /** Keys that were probably meant by unknown ones: that these are missing needs no further word. */
  readonly #meant = new Set<string>();
  #pathsByKey: ReturnType<typeof pathsByKey> | undefined;
  readonly #foreignSections: readonly string[];
  readonly #isPart: boolean;

  /**
   * @param foreignSections names of top-level sections that RoadRunner gives a meaning to because of others in this file
   * @param isPart what is missing may stand in a file that was not read
   */
  constructor(foreignSections: readonly string[] = [], isPart = false) {
    this.#foreignSections = foreignSections;
    this.#isPart = isPart;
  }

  read<Shape extends Message>(schema: DescMessage, root: MapNode): Shape {
    this.#places.set("", root.place);
    return create(schema, this.#section(schema, root, "") as never) as unknown as Shape;
  }

  report(place: Place, path: string, message: string, severity: Problem["severity"] = "error"): void {
    this.problems.push(problemAt(place, path, message, severity));
  }

  /** The problem of a key that is missing, unless it is there and misspelled, or wrong. */
  reportMissing(path: string, message: string): void {
    if (this.#isPart && path !== "version") return;
    for (const meant of this.#meant) if (path === meant || path.startsWith(`${meant}.`)) return;
    this.reportAt(path, message);
  }

  /** A problem with the value at a path, unless that has one already. */
  reportAt(path: string, message: string, severity: Problem["severity"] = "error"): void {
    if (this.problems.some((problem) => problem.path === path && problem.severity === "error")) return;
    this.report(this.#placeOf(path), path, message, severity);
  }

  /** Where the value stands, or the nearest section around it. */
  #placeOf(path: string): Place {
    for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
      const place = this.#places.get(at);
      if (place) return place;
    }
  }

  #section(message: DescMessage, node: MapNode, path: string): Init {
    const init: Init = {};
    const seen = new Map<string, string>();
    for (const entry of node.entries) {
      const name = entry.key.toLowerCase();
      const field = message.fields.find((candidate) => candidate.name === name);
      if (!field) {
        this.#unknown(message, entry, path);
        continue;
      }
      const fieldPath = join(path, field.name);
      // The same letters a second time are a problem of the form, and reported as such.
      const other = seen.get(name);
      if (other !== undefined && other !== entry.key)
        this.report(
          entry.keyPlace,
          fieldPath,
          `the key is given a second time, as ${other} and ${entry.key}: remove one`,
        );
      seen.set(name, entry.key);
      this.#places.set(
        fieldPath,
        entry.node.kind === "map" || isAbsent(field, entry.node) ? entry.keyPlace : entry.node.place,
      );
      // A key without anything behind it is as good as absent, as in RoadRunner.
      if (isAbsent(field, entry.node)) continue;
      const value = this.#field(field, entry.node, fieldPath);
      if (value !== undefined) init[field.localName] = value;
    }
    for (const field of message.fields)
      if (boundsOf(field).required && init[field.localName] === undefined)
        this.reportMissing(
          join(path, field.name),
          `it is missing: add \`${field.name}: ${settingOf(field)?.example ?? ""}\``,
        );
    return init;
  }

  #field(field: DescField, node: SourceNode, path: string): unknown {
    const section = sectionMessageOf(field);
    if (section) return this.#nested(section, node, path);
    const listed = listedSectionOf(field);
    if (listed) return this.#sections(listed, node, path);
    if (field.fieldKind === "map") return this.#map(field, node, path);
    return this.#value(field, node, path);
  }

  #nested(message: DescMessage, node: SourceNode, path: string): Init | undefined {
    if (node.kind === "map") return this.#section(message, node, path);
    const keys = message.fields.map(({ name }) => name);
    const list = keys.length > 3 ? `${keys.slice(0, 3).join(", ")}, ...` : keys.join(", ");
    this.report(node.place, path, `expected keys and values (${list}), got ${shown(node)}`);
    return undefined;
  }

  /** Items are counted from 0 in paths. */
  #sections(message: DescMessage, node: SourceNode, path: string): Init[] | undefined {
    if (node.kind === "list")
      return node.items.flatMap((item, index): Init[] => {
        const section = this.#nested(message, item, `${path}.${index}`);
        return section === undefined ? [] : [section];
      });
    this.report(node.place, path, `expected a list of sections, each behind a "-", got ${shown(node)}`);
    return undefined;
  }

  #value(field: DescField, node: SourceNode, path: string): unknown {
    if (isUnknown(node)) {
      this.#meant.add(path);
      return undefined;
    }
    // A variable that is empty counts as a key that is absent.
    if (node.kind === "scalar" && node.value === "" && node.variables.length > 0) return undefined;
    const read = readValue(field, node);
    if ("error" in read) {
      this.report((read.part ?? node).place, path, read.error);
      return undefined;
    }
    if (read.note !== undefined) this.report(node.place, path, read.note, "warning");
    const setting = settingOf(field);
    if (setting?.zeroIsDefault && isZero(field, read.value)) return undefined;
    if (setting && setting.withoutEffect !== "" && !isDefault(field, setting.default, read.value))
      this.report(node.place, path, `it has no effect: ${setting.withoutEffect}`, "warning");
    this.sources.set(path, sourceOf(node));
    return read.value;
  }

  #map(field: DescField & { fieldKind: "map" }, node: SourceNode, path: string): Init | undefined {
    const entries = mapEntries(node);
    if (!entries) {
      this.report(node.place, path, `expected names and values, got ${shown(node)}`);
      return undefined;
    }
    const withoutEffect = settingOf(field)?.withoutEffect;
    if (withoutEffect && entries.length > 0)
      this.report(node.place, path, `it has no effect: ${withoutEffect}`, "warning");
    const { keyPattern } = boundsOf(field);
    const init: Init = {};
    for (const { key, keyPlace, node: value } of entries) {
      const entryPath = `${path}.${key}`;
      this.#places.set(entryPath, keyPlace);
      if (keyPattern && !keyPattern.test(key))
        this.report(keyPlace, entryPath, `${quoted(key)} is no name: use letters, digits, "-" and "_"`);
      const read =
        field.mapKind === "message"
          ? this.#mapSection(field.message, value, entryPath)
          : this.#mapText(value, entryPath);
      if (read !== undefined) init[key] = read;
    }
    return init;
  }

  #mapSection(message: DescMessage, node: SourceNode, path: string): Init | undefined {
    return isEmpty(node) ? {} : this.#nested(message, node, path);
  }

  #mapText(node: SourceNode, path: string): string | undefined {
    if (node.kind !== "scalar") {
      this.report(node.place, path, `expected text, got ${shown(node)}`);
      return undefined;
    }
    this.sources.set(path, sourceOf(node));
    if (node.value === null) return "";
    if (typeof node.value === "boolean") return node.value ? "1" : "0";
    return textOf(node);
  }

  #unknown(message: DescMessage, { key, keyPlace }: Entry, parent: string): void {
    const path = join(parent, key);
    const root = parent === "";
    // A place for anchors, as other tools have it.
    if (root && key.startsWith("x-")) return;
    const name = key.toLowerCase();
    const notYet = notYetOf(message);
    if (notYet.includes(name) || (root && this.#foreignSections.includes(key))) {
      const what = root ? "section" : "key";
      this.report(keyPlace, path, `RoadRunner has this ${what}, this server does not yet: it has no effect`, "warning");
      return;
    }
    this.report(keyPlace, path, `unknown key ${quoted(key)}${this.#hint(message, name, parent, notYet)}`);
  }

  #hint(message: DescMessage, name: string, parent: string, notYet: readonly string[]): string {
    this.#pathsByKey ??= pathsByKey();
    const elsewhere = (this.#pathsByKey.get(name) ?? []).map((path) => path.slice(0, -name.length - 1));
    if (elsewhere.length > 0) return `; it belongs ${elsewhere.map(sectionName).join(" or ")}`;
    const known = message.fields.map((field) => field.name);
    const meant = nearest(name, [...known, ...notYet]);
    if (meant === undefined) return `; known here: ${known.join(", ")}`;
    this.#meant.add(join(parent, meant));
    return `; did you mean "${meant}"?`;
  }
}

/** Nothing is written behind the key. A command that is "" is none either: files have it to show that the key exists. */
function isAbsent(field: DescField, node: SourceNode): boolean {
  if (isEmpty(node)) return true;
  return notationOf(field) === Notation.COMMAND && node.kind === "scalar" && node.value === "" && !node.unknown;
}

/** RoadRunner reads a list of maps as one map: `env: [{A: 1}, {B: 2}]`. */
function mapEntries(node: SourceNode): readonly Entry[] | undefined {
  if (node.kind === "map") return node.entries;
  if (node.kind !== "list") return undefined;
  const maps = node.items.filter((item) => item.kind === "map");
  return maps.length === node.items.length ? maps.flatMap(({ entries }) => entries) : undefined;
}

function isUnknown(node: SourceNode): boolean {
  if (node.kind === "list") return node.items.some(isUnknown);
  return node.kind === "scalar" && node.unknown === true;
}

function sectionName(path: string): string {
  return path === "" ? "to the top of the file" : `to "${path}"`;
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function sourceOf(node: SourceNode): ValueSource {
  const variables = variablesOf(node);
  if (variables.length === 0) return { place: node.place, variables };
  const template = node.kind === "list" ? node.items.map(templateOf) : templateOf(node);
  return { place: node.place, variables, template, text: node.kind === "scalar" ? textOf(node) : undefined };
}

function templateOf(node: SourceNode): string {
  return node.kind === "scalar" ? (node.template ?? textOf(node)) : "";
}

function variablesOf(node: SourceNode): readonly string[] {
  if (node.kind === "scalar") return node.variables;
  return node.kind === "list" ? node.items.flatMap(variablesOf) : [];
}

function isDefault(field: DescField, defaultText: string, value: unknown): boolean {
  const plain = plainValue(field, value);
  const text = Array.isArray(plain) ? `[${plain.join(", ")}]` : String(plain);
  return defaultText !== "" && (text === defaultText || JSON.stringify(plain) === defaultText);
}
