import { RrError } from "../errors.ts";
import { bytesOf, bytesToText, unescapeBytes } from "./percent.ts";

/**
 * A urlencoded form as RoadRunner's workers expect it: names such as "a[b][c]" become a tree of maps. Maps, not objects,
 * because a form may well name a field "__proto__".
 */
export type FormTree = Map<string, FormNode>;
export type FormNode = string | string[] | FormTree;

export interface FormLimits {
  /** Name and value pairs. */
  readonly fieldsMax: number;
  /** Maps in the tree: a name may open one with every two bytes. */
  readonly nodesMax: number;
}

export const FORM_LIMITS: FormLimits = { fieldsMax: 250_000, nodesMax: 250_000 };

/** Names with more parts are left out without a word, as RoadRunner does. */
const DEPTH_MAX = 127;

/**
 * Parses a form. Takes time in proportion to its length.
 *
 * @throws RrError INVALID_REQUEST: broken escape, semicolon in a pair, one name used for a value and for a map, too large
 */
export function parseForm(body: Uint8Array, limits: FormLimits = FORM_LIMITS): FormTree {
  const root: FormTree = new Map();
  const grower = { root, nodesLeft: limits.nodesMax };
  for (const [name, values] of groupPairs(body, limits.fieldsMax)) {
    const path = splitName(name);
    if (path.length <= DEPTH_MAX) mount(grower, path, values);
  }
  return root;
}

/** The tree as JSON text, in order of appearance. An empty one is "{}". */
export function formJson(tree: FormTree): string {
  let text = "";
  for (const [key, node] of tree) text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${nodeJson(node)}`;
  return `{${text}}`;
}

function nodeJson(node: FormNode): string {
  return node instanceof Map ? formJson(node) : JSON.stringify(node);
}

/** The values of each name, names in order of first appearance: a later "a[]" joins the list of the first. */
function groupPairs(body: Uint8Array, fieldsMax: number): Map<string, string[]> {
  const text = bytesOf(body);
  if (text.includes(";")) throw new RrError("INVALID_REQUEST", "the form has a semicolon between or inside its pairs");
  const groups = new Map<string, string[]>();
  let fields = 0;
  for (let start = 0; start < text.length; ) {
    const ampersand = text.indexOf("&", start);
    const end = ampersand < 0 ? text.length : ampersand;
    if (end > start) {
      if (++fields > fieldsMax) throw new RrError("INVALID_REQUEST", `the form has more than ${fieldsMax} fields`);
      addPair(groups, text.slice(start, end));
    }
    start = end + 1;
  }
  return groups;
}

function addPair(groups: Map<string, string[]>, pair: string): void {
  const equals = pair.indexOf("=");
  const name = formText(equals < 0 ? pair : pair.slice(0, equals));
  const value = formText(equals < 0 ? "" : pair.slice(equals + 1));
  const values = groups.get(name);
  if (values === undefined) groups.set(name, [value]);
  else values.push(value);
}

function formText(escaped: string): string {
  const bytes = unescapeBytes(escaped);
  if (bytes === undefined) {
    const shown = escaped.length > 64 ? `${escaped.slice(0, 64)}...` : escaped;
    throw new RrError(
      "INVALID_REQUEST",
      `the form has a "%" without two hexadecimal digits in ${JSON.stringify(shown)}`,
    );
  }
  return bytesToText(bytes);
}

/**
 * The parts of a name. Brackets separate, however they are paired; spaces do not count; "[]" is an empty part.
 *
 * "a[b][]" -> a, b, "" · "a[b]c" -> a, b, c · "a[b" -> a, b · "a]" -> a · "[a]" -> "", a
 */
export function splitName(name: string): string[] {
  if (!BRACKET_OR_SPACE.test(name)) return [name];
  const parts = [""];
  let part = 0;
  // After a bracket the next character starts a part of its own.
  let fresh = false;
  let opened = false;
  for (const character of name) {
    if (character === " ") continue;
    if (character === "[") {
      opened = true;
      fresh = true;
    } else if (character === "]") {
      if (opened) part = parts.push("") - 1;
      opened = false;
      fresh = true;
    } else {
      if (fresh) part = parts.push("") - 1;
      parts[part] += character;
      fresh = false;
      opened = false;
    }
    // Such a name is dropped anyway; no need to split the rest of a megabyte of brackets.
    if (parts.length > DEPTH_MAX) break;
  }
  return parts;
}

const BRACKET_OR_SPACE = /[[\] ]/;

/** Puts values where the path leads. "[]" appends at the end of a path only; elsewhere it is the key "". */
function mount(grower: { root: FormTree; nodesLeft: number }, path: readonly string[], values: string[]): void {
  const isList = path.length > 1 && path[path.length - 1] === "";
  const keys = isList ? path.slice(0, -1) : path;
  let tree = grower.root;
  for (let level = 0; level < keys.length - 1; level++) {
    const key = keys[level]!;
    const existing = tree.get(key);
    if (existing instanceof Map) tree = existing;
    else if (existing === undefined || existing === "") {
      if (--grower.nodesLeft < 0) throw new RrError("INVALID_REQUEST", "the form's names make too large a tree");
      const child: FormTree = new Map();
      tree.set(key, child);
      tree = child;
    } else throw conflict(key);
  }
  const key = keys[keys.length - 1]!;
  const existing = tree.get(key);
  if (isList) {
    if (existing instanceof Map) throw conflict(key);
    tree.set(key, values);
    return;
  }
  const value = values[values.length - 1]!;
  // An empty value says nothing against a list or a map.
  if (value === "" && typeof existing === "object") return;
  if (existing instanceof Map) throw conflict(key);
  tree.set(key, value);
}

function conflict(key: string): RrError {
  const shown = key.length > 64 ? `${key.slice(0, 64)}...` : key;
  return new RrError("INVALID_REQUEST", `the form has invalid multiple values to key '${shown}' in tree`);
}
