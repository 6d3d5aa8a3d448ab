import { RrError } from "../errors.ts";
import { bytesOf, bytesToText, unescapeBytes } from "./percent.ts";

/**
 * Names such as "a[b][c]" make a tree of maps, as RoadRunner's workers expect it. Maps, not objects, because a form may
 * well name a field "__proto__". Leaves are values or files, and no maps or arrays.
 */
export type Tree<Leaf> = Map<string, TreeNode<Leaf>>;
export type TreeNode<Leaf> = Leaf | Leaf[] | Tree<Leaf>;
export type FormTree = Tree<string>;

/** What differs between the tree of values and that of files. */
export interface TreeRules<Leaf> {
  /** Of several leaves of a name that is no list. */
  readonly pick: (leaves: readonly Leaf[]) => Leaf;
  /** Says nothing against a list or a map of the same name. */
  readonly isEmpty: (leaf: Leaf) => boolean;
}

export interface FormLimits {
  /** Name and value pairs. */
  readonly fieldsMax: number;
  /** Maps in the tree: a name may open one with every two bytes. */
  readonly nodesMax: number;
}

export const FORM_LIMITS: FormLimits = { fieldsMax: 250_000, nodesMax: 250_000 };

/** RoadRunner leaves names with more parts out without a word. The sender would believe that they arrived. */
const DEPTH_MAX = 127;

/**
 * Parses a form. Takes time in proportion to its length.
 *
 * @throws RrError INVALID_REQUEST: broken escape, semicolon in a pair, one name used for a value and for a map, too deep;
 * PAYLOAD_TOO_LARGE: too many fields
 */
export function parseForm(body: Uint8Array, limits: FormLimits = FORM_LIMITS): FormTree {
  return growTree(groupPairs(body, limits.fieldsMax), VALUE_RULES, limits.nodesMax);
}

/** The last value of a name wins. */
export const VALUE_RULES: TreeRules<string> = {
  pick: (values) => values[values.length - 1]!,
  isEmpty: (value) => value === "",
};

/**
 * The tree of all leaves by name, names in order of first appearance.
 *
 * @throws RrError INVALID_REQUEST: one name used for a leaf and for a map, too large
 */
export function growTree<Leaf>(
  groups: ReadonlyMap<string, Leaf[]>,
  rules: TreeRules<Leaf>,
  nodesMax = FORM_LIMITS.nodesMax,
): Tree<Leaf> {
  const root: Tree<Leaf> = new Map();
  const grower = { root, rules, nodesLeft: nodesMax };
  for (const [name, leaves] of groups) {
    const path = splitName(name);
    if (path.length > DEPTH_MAX)
      throw new RrError("INVALID_REQUEST", `a name in the form has more than ${DEPTH_MAX} parts`);
    mount(grower, path, leaves);
  }
  return root;
}

/** The tree as JSON text, in order of appearance. An empty one is "{}". */
export function treeJson<Leaf>(tree: Tree<Leaf>): string {
  let text = "";
  for (const [key, node] of tree) text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${nodeJson(node)}`;
  return `{${text}}`;
}

function nodeJson<Leaf>(node: TreeNode<Leaf>): string {
  return node instanceof Map ? treeJson(node) : JSON.stringify(node);
}

export function addToGroup<Leaf>(groups: Map<string, Leaf[]>, name: string, leaf: Leaf): void {
  const leaves = groups.get(name);
  if (leaves === undefined) groups.set(name, [leaf]);
  else leaves.push(leaf);
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
      if (++fields > fieldsMax)
        throw new RrError("PAYLOAD_TOO_LARGE", `the form has more than ${fieldsMax} fields (http.max_form_fields)`);
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
  addToGroup(groups, name, value);
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

interface Grower<Leaf> {
  readonly root: Tree<Leaf>;
  readonly rules: TreeRules<Leaf>;
  nodesLeft: number;
}

/** Puts leaves where the path leads. "[]" appends at the end of a path only; elsewhere it is the key "". */
function mount<Leaf>(grower: Grower<Leaf>, path: readonly string[], leaves: Leaf[]): void {
  const { root, rules } = grower;
  const isList = path.length > 1 && path[path.length - 1] === "";
  const keys = isList ? path.slice(0, -1) : path;
  let tree = root;
  for (let level = 0; level < keys.length - 1; level++) {
    const key = keys[level]!;
    const existing = tree.get(key);
    if (existing instanceof Map) tree = existing;
    else if (existing === undefined || (!Array.isArray(existing) && rules.isEmpty(existing))) {
      if (--grower.nodesLeft < 0) throw new RrError("INVALID_REQUEST", "the form's names make too large a tree");
      const child: Tree<Leaf> = new Map();
      tree.set(key, child);
      tree = child;
    } else throw conflict(key);
  }
  const key = keys[keys.length - 1]!;
  const existing = tree.get(key);
  if (isList) {
    if (existing instanceof Map) throw conflict(key);
    tree.set(key, leaves);
    return;
  }
  const leaf = rules.pick(leaves);
  if (rules.isEmpty(leaf) && (existing instanceof Map || Array.isArray(existing))) return;
  if (existing instanceof Map) throw conflict(key);
  tree.set(key, leaf);
}

function conflict(key: string): RrError {
  const shown = key.length > 64 ? `${key.slice(0, 64)}...` : key;
  return new RrError("INVALID_REQUEST", `the form has invalid multiple values to key '${shown}' in tree`);
}
