import { StringDecoder } from "node:string_decoder";
import { RrError } from "../errors.ts";
import { fieldPath, shown } from "./form-names.ts";
import { bytesToText } from "./percent.ts";

/** Maps in a tree: a name may open one with every three bytes. */
export const NODES_MAX = 250_000;

export type TreeNode<Leaf> = Leaf | Branch<Leaf>;

/**
 * A map or list of a form. Most branches of a hostile form have one child, and there may be hundreds of thousands: the
 * first one needs no map.
 */
export class Branch<Leaf> {
  #firstKey: string | undefined;
  #first: TreeNode<Leaf> | undefined;
  #rest: Map<string, TreeNode<Leaf>> | undefined;
  /** What "[]" becomes. */
  #nextIndex = 0;
  #hasIndex = false;
  #isList = true;

  get size(): number {
    return this.#firstKey === undefined ? 0 : 1 + (this.#rest?.size ?? 0);
  }

  /** The keys are 0, 1, 2 and so on, in this order. */
  get isList(): boolean {
    return this.#isList;
  }

  get(key: string): TreeNode<Leaf> | undefined {
    return key === this.#firstKey ? this.#first : this.#rest?.get(key);
  }

  /** One that replaces another takes its place. */
  set(key: string, node: TreeNode<Leaf>): void {
    if (key === this.#firstKey) {
      this.#first = node;
      return;
    }
    if (this.#rest?.has(key)) {
      this.#rest.set(key, node);
      return;
    }
    if (this.#isList && key !== String(this.size)) this.#isList = false;
    this.#countIndex(key);
    if (this.#firstKey === undefined) {
      this.#firstKey = key;
      this.#first = node;
    } else {
      this.#rest ??= new Map();
      this.#rest.set(key, node);
    }
  }

  /**
   * The key that PHP would choose for "[]": one more than the greatest number.
   *
   * @throws RrError INVALID_REQUEST: there is none
   */
  nextKey(): string {
    if (Number.isSafeInteger(this.#nextIndex)) return String(this.#nextIndex);
    throw new RrError("INVALID_REQUEST", 'the form has a list whose numbers leave no room for another "[]"');
  }

  *entries(): IterableIterator<[key: string, node: TreeNode<Leaf>]> {
    if (this.#firstKey === undefined) return;
    yield [this.#firstKey, this.#first!];
    if (this.#rest) yield* this.#rest;
  }

  #countIndex(key: string): void {
    if (!INTEGER.test(key)) return;
    const index = key.length < 16 ? Number(key) : largeIndex(key);
    if (index === undefined || (this.#hasIndex && index < this.#nextIndex)) return;
    this.#hasIndex = true;
    this.#nextIndex = index + 1;
  }
}

/** What PHP takes for a number: without zeros in front. */
const INTEGER = /^(?:0|-?[1-9][0-9]*)$/;

/** Of a number of 64 bits, with its sign. */
const INDEX_CHARACTERS_MAX = 20;

/** Undefined: for PHP it is a text. Beyond what is exact here there is no next one. */
function largeIndex(key: string): number | undefined {
  if (key.length > INDEX_CHARACTERS_MAX) return undefined;
  const index = BigInt(key);
  if (index !== BigInt.asIntN(64, index)) return undefined;
  return index < 0n ? Number(index) : Number.POSITIVE_INFINITY;
}

/** Grows from names and leaves, as PHP makes its arrays of them. */
export class FormTree<Leaf> {
  readonly root = new Branch<Leaf>();
  /** Names that PHP makes no variable of, and values that stood where a branch went, or the other way around. */
  readonly lost: { count: number; firstName: string } = { count: 0, firstName: "" };
  #nodesLeft: number;

  constructor(nodesMax: number = NODES_MAX) {
    this.#nodesLeft = nodesMax;
  }

  /**
   * Puts a leaf where its name says; what was there before, a whole branch or a leaf on the way included, makes room, as
   * in PHP. Names that PHP makes no variable of are passed over, as there.
   *
   * @param name bytes, one per character
   * @throws RrError INVALID_REQUEST: a name too long, too many parts or branches
   */
  add(name: string, leaf: Leaf): void {
    const path = fieldPath(name);
    if (path === undefined) this.#lose(name);
    else this.#place(path, leaf);
  }

  /** The same, but what is there already stays. Answers where the leaf is, or undefined if it found no place. */
  addIfFree(name: string, leaf: Leaf): readonly string[] | undefined {
    const path = fieldPath(name);
    if (path === undefined) return undefined;
    let node: TreeNode<Leaf> | undefined = this.root;
    for (const key of path) {
      if (!(node instanceof Branch)) return undefined;
      node = key === undefined ? undefined : node.get(key);
      if (node === undefined) return this.#place(path, leaf);
    }
    return undefined;
  }

  #place(path: readonly (string | undefined)[], leaf: Leaf): readonly string[] {
    const keys: string[] = [];
    let branch = this.root;
    for (let level = 0; level < path.length - 1; level++) {
      const key = path[level] ?? branch.nextKey();
      keys.push(key);
      const child = branch.get(key);
      if (child instanceof Branch) branch = child;
      else {
        if (--this.#nodesLeft < 0)
          throw new RrError(
            "INVALID_REQUEST",
            `the names in the form, up to ${shown(keys[0]!)}, make too large a tree`,
          );
        if (child !== undefined) this.#lose(keys.join("."));
        const grown = new Branch<Leaf>();
        branch.set(key, grown);
        branch = grown;
      }
    }
    const key = path[path.length - 1] ?? branch.nextKey();
    keys.push(key);
    if (branch.get(key) instanceof Branch) this.#lose(keys.join("."));
    branch.set(key, leaf);
    return keys;
  }

  #lose(name: string): void {
    if (this.lost.count++ === 0) this.lost.firstName = shown(name);
  }
}

/** How a leaf is told in JSON, a piece at a time. */
export type LeafJson<Leaf> = (leaf: Leaf) => Iterable<string>;

const PIECE_CHARACTERS = 64 * 1024;

/** The tree as JSON text, in pieces of about 64 KB. The root is an object whatever its keys are; an empty one is "{}". */
export function* treePieces<Leaf>(root: Branch<Leaf>, leafJson: LeafJson<Leaf>): Generator<string> {
  const levels: { entries: Iterator<[string, TreeNode<Leaf>]>; isList: boolean; first: boolean }[] = [];
  const open = (branch: Branch<Leaf>, isList: boolean): string => {
    levels.push({ entries: branch.entries(), isList, first: true });
    return isList ? "[" : "{";
  };
  let text = open(root, false);
  while (levels.length > 0) {
    const level = levels[levels.length - 1]!;
    const next = level.entries.next();
    if (next.done) {
      text += level.isList ? "]" : "}";
      levels.pop();
      continue;
    }
    const [key, node] = next.value;
    if (!level.first) text += ",";
    level.first = false;
    if (!level.isList) text += `${JSON.stringify(bytesToText(key))}:`;
    if (node instanceof Branch) text += open(node, node.isList && node.size > 0);
    else
      for (const piece of leafJson(node)) {
        text += piece;
        if (text.length < PIECE_CHARACTERS) continue;
        yield text;
        text = "";
      }
    if (text.length < PIECE_CHARACTERS) continue;
    yield text;
    text = "";
  }
  if (text !== "") yield text;
}

/** A value of bytes, one per character, as JSON text. Bytes that are no UTF-8 become U+FFFD. */
export function* valueJson(value: string): Generator<string> {
  if (value.length <= PIECE_CHARACTERS) return yield JSON.stringify(bytesToText(value));
  const decoder = new StringDecoder("utf8");
  yield '"';
  for (let at = 0; at < value.length; at += PIECE_CHARACTERS) {
    const text = decoder.write(Buffer.from(value.slice(at, at + PIECE_CHARACTERS), "latin1"));
    yield JSON.stringify(text).slice(1, -1);
  }
  yield `${JSON.stringify(decoder.end()).slice(1, -1)}"`;
}

/** All of it at once. */
export function treeJson<Leaf>(root: Branch<Leaf>, leafJson: LeafJson<Leaf>): string {
  let text = "";
  for (const piece of treePieces(root, leafJson)) text += piece;
  return text;
}
