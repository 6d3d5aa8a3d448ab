import type { Problem } from "./problem.ts";

/** Where something was written. Overrides and defaults have no line. */
export interface Place {
  readonly kind: "file" | "include" | "override" | "default";
  /** Name of the file, as messages show it; "-o key=value" for an override. */
  readonly file: string;
  /** From 1; 0: none. */
  readonly line: number;
  readonly column: number;
}

/**
 * A configuration as it was written, before anything is known of its keys. Aliases and merge keys of YAML are replaced
 * by what they stand for, variables by their values.
 */
export type SourceNode = ScalarNode | ListNode | MapNode;

export interface ScalarNode {
  readonly kind: "scalar";
  readonly place: Place;
  readonly value: string | number | boolean | null;
  /** As it was written: "0755" where `value` is 755. */
  readonly text: string;
  /** Names of the variables that `value` was made of. */
  readonly variables: readonly string[];
  /** With its variables, where it has any. */
  readonly template?: string;
  /** It has variables, and what they hold is not known here. */
  readonly unknown?: boolean;
}

export interface ListNode {
  readonly kind: "list";
  readonly place: Place;
  readonly items: readonly SourceNode[];
}

export interface MapNode {
  readonly kind: "map";
  readonly place: Place;
  readonly entries: readonly Entry[];
}

export interface Entry {
  readonly key: string;
  readonly keyPlace: Place;
  readonly node: SourceNode;
}

/** @param template what `text` was made of, with its variables */
export function scalar(
  text: string,
  place: Place,
  variables: readonly string[] = [],
  template: string = text,
): ScalarNode {
  return { kind: "scalar", place, value: text, text, variables, template };
}

/** Keys of sections are the same in upper and lower case, as in RoadRunner. */
export function sameKey(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

export function entryOf(map: MapNode, key: string): Entry | undefined {
  return map.entries.find((entry) => sameKey(entry.key, key));
}

/** A key with nothing behind it. */
export function isEmpty(node: SourceNode): boolean {
  return node.kind === "scalar" && node.value === null;
}

/** A value as text, numbers as they were written: 0755 is "0755". */
export function textOf(node: ScalarNode): string {
  return typeof node.value === "string" ? node.value : node.text;
}

/** What a message says that it got. */
export function shown(node: SourceNode): string {
  if (node.kind === "map") return "keys and values";
  if (node.kind === "list") return "a list";
  if (node.value === null) return "nothing";
  // What a variable holds may be meant for nobody's eyes.
  if (node.variables.length > 0) return `the value of ${node.variables.map((name) => `\${${name}}`).join(", ")}`;
  return typeof node.value === "string" ? quoted(node.value) : node.text;
}

const SHOWN_CHARACTERS_MAX = 100;

/** A text in quotes, cut where it would fill the screen. */
export function quoted(text: string): string {
  const cut = text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
  return JSON.stringify(cut);
}

export function problemAt(
  place: Place,
  path: string,
  message: string,
  severity: Problem["severity"] = "error",
): Problem {
  return { file: place.file, line: place.line, column: place.column, path, message, severity };
}
