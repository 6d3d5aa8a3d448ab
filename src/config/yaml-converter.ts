import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type parseDocument, visit } from "yaml";
import type { Problem } from "./problem.ts";
import { type Entry, type Place, problemAt, quoted, type ScalarNode, type SourceNode } from "./source-node.ts";

/** Files nest a handful of levels; aliases may nest without end. */
const DEPTH_MAX = 50;
/** Far above any real file. Aliases of aliases can make billions of nodes of a few lines. */
const NODES_MAX = 20_000;

/** Nodes of the YAML library to ours, with aliases and merge keys replaced by what they stand for. */
export class YamlConverter {
  readonly problems: Problem[] = [];
  readonly #document: ReturnType<typeof parseDocument>;
  readonly #placeAt: (offset: number) => Place;
  /** Set when there is no use in what was converted. */
  tooLarge = false;
  #nodes = 0;
  #targets: ReadonlyMap<Alias, Node> | undefined;

  constructor(document: ReturnType<typeof parseDocument>, placeAt: (offset: number) => Place) {
    this.#document = document;
    this.#placeAt = placeAt;
  }

  /** `parent` is where nodes stand that the text has no characters for. */
  convert(node: Node | null, parent: Place, depth = 0): SourceNode {
    const place = node?.range ? this.#placeAt(node.range[0]) : parent;
    if (node === null) return nothing(place);
    if (this.tooLarge || depth > DEPTH_MAX || ++this.#nodes > NODES_MAX) return this.#stop(place);
    if (isAlias(node)) return this.#alias(node, place, depth);
    if (isMap(node)) return { kind: "map", place, entries: this.#entries(node.items as Pair[], place, depth) };
    if (isSeq(node)) {
      const items = (node.items as (Node | null)[]).map((item) => this.convert(item, place, depth + 1));
      return { kind: "list", place, items };
    }
    const { value, source } = node as { value: unknown; source?: string };
    if (value === null) return nothing(place);
    const known = typeof value === "number" || typeof value === "boolean" ? value : String(value);
    return { kind: "scalar", place, value: known, text: source ?? String(value), variables: [] };
  }

  #stop(place: Place): ScalarNode {
    if (!this.tooLarge)
      this.problems.push(problemAt(place, "", "too deep or too large: does an alias (*name) contain itself?"));
    this.tooLarge = true;
    return nothing(place);
  }

  #alias(node: Alias, place: Place, depth: number): SourceNode {
    this.#targets ??= aliasTargets(this.#document);
    const target = this.#targets.get(node);
    if (target) return this.convert(target, place, depth + 1);
    this.problems.push(problemAt(place, "", `*${node.source} names no anchor: there is no &${node.source} above it`));
    return nothing(place);
  }

  #entries(pairs: readonly Pair[], place: Place, depth: number): Entry[] {
    const entries: Entry[] = [];
    const merged: Entry[] = [];
    const keys = new Set<string>();
    for (const pair of pairs) {
      if (this.tooLarge) break;
      const keyNode = pair.key as Node | null;
      const keyPlace = keyNode?.range ? this.#placeAt(keyNode.range[0]) : place;
      if (!isScalar(keyNode)) {
        this.problems.push(problemAt(keyPlace, "", "expected the name of a key, got keys and values or a list"));
        continue;
      }
      const key = keyNode.source ?? String(keyNode.value);
      const node = this.convert(pair.value as Node | null, keyPlace, depth + 1);
      if (key === "<<") {
        merged.push(...mergedEntries(node));
        continue;
      }
      if (keys.has(key)) this.problems.push(problemAt(keyPlace, "", `the key ${quoted(key)} is given a second time`));
      keys.add(key);
      entries.push({ key, keyPlace, node });
    }
    // What is written beside a merge key stands above what it brings along.
    for (const entry of merged) {
      if (keys.has(entry.key)) continue;
      keys.add(entry.key);
      entries.push(entry);
    }
    return entries;
  }
}

/** What each alias stands for: the last anchor of its name above it. One pass, where the library would search for each. */
function aliasTargets(document: ReturnType<typeof parseDocument>): Map<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Node(_key, node) {
      const target = isAlias(node) ? anchors.get(node.source) : undefined;
      if (target && isAlias(node)) targets.set(node, target);
      else if (!isAlias(node) && node.anchor) anchors.set(node.anchor, node as Node);
    },
  });
  return targets;
}

function mergedEntries(node: SourceNode): readonly Entry[] {
  if (node.kind === "map") return node.entries;
  return node.kind === "list" ? node.items.flatMap((item) => (item.kind === "map" ? item.entries : [])) : [];
}

function nothing(place: Place): ScalarNode {
  return { kind: "scalar", place, value: null, text: "", variables: [] };
}
