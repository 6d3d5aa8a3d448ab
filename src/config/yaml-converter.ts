import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type parseDocument } from "yaml";
import type { Problem } from "./problem.ts";
import { type Entry, type Place, problemAt, type ScalarNode, type SourceNode } from "./source-node.ts";

/** Files nest a handful of levels; aliases may nest without end. */
const DEPTH_MAX = 50;
/** Far above any real file. Aliases of aliases can make billions of nodes of a few lines. */
const NODES_MAX = 100_000;

/** Nodes of the YAML library to ours, with aliases and merge keys replaced by what they stand for. */
export class YamlConverter {
  readonly problems: Problem[] = [];
  readonly #document: ReturnType<typeof parseDocument>;
  readonly #placeAt: (offset: number) => Place;
  #nodes = 0;

  constructor(document: ReturnType<typeof parseDocument>, placeAt: (offset: number) => Place) {
    this.#document = document;
    this.#placeAt = placeAt;
  }

  /** `parent` is where nodes stand that the text has no characters for. */
  convert(node: Node | null, parent: Place, depth = 0): SourceNode {
    const place = node?.range ? this.#placeAt(node.range[0]) : parent;
    if (node === null) return nothing(place);
    if (depth > DEPTH_MAX || this.#nodes >= NODES_MAX) return this.#tooLarge(place);
    this.#nodes++;
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

  #tooLarge(place: Place): ScalarNode {
    // Said once: everything that is left of the file would say it again.
    if (this.#nodes !== Number.POSITIVE_INFINITY)
      this.problems.push(problemAt(place, "", "too deep or too large: does an alias (*name) contain itself?"));
    this.#nodes = Number.POSITIVE_INFINITY;
    return nothing(place);
  }

  #alias(node: Alias, place: Place, depth: number): SourceNode {
    const target = node.resolve(this.#document);
    if (target) return this.convert(target, place, depth + 1);
    this.problems.push(problemAt(place, "", `*${node.source} names no anchor: there is no &${node.source} above it`));
    return nothing(place);
  }

  #entries(pairs: readonly Pair[], place: Place, depth: number): Entry[] {
    const entries: Entry[] = [];
    const merged: Entry[] = [];
    for (const pair of pairs) {
      const keyNode = pair.key as Node | null;
      const keyPlace = keyNode?.range ? this.#placeAt(keyNode.range[0]) : place;
      if (!isScalar(keyNode)) {
        this.problems.push(problemAt(keyPlace, "", "expected the name of a key, got keys and values or a list"));
        continue;
      }
      const key = keyNode.source ?? String(keyNode.value);
      const node = this.convert(pair.value as Node | null, keyPlace, depth + 1);
      if (key === "<<") merged.push(...mergedEntries(node));
      else entries.push({ key, keyPlace, node });
    }
    // What is written beside a merge key stands above what it brings along.
    for (const entry of merged) if (!entries.some(({ key }) => key === entry.key)) entries.push(entry);
    return entries;
  }
}

function mergedEntries(node: SourceNode): readonly Entry[] {
  if (node.kind === "map") return node.entries;
  return node.kind === "list" ? node.items.flatMap((item) => (item.kind === "map" ? item.entries : [])) : [];
}

function nothing(place: Place): ScalarNode {
  return { kind: "scalar", place, value: null, text: "", variables: [] };
}
