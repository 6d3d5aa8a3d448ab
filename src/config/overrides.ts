import { type Environment, interpolate } from "./interpolation.ts";
import type { Problem } from "./problem.ts";
import { looksSecret, MASK, maskText } from "./secret-text.ts";
import { parseSource } from "./source.ts";
import {
  type Entry,
  entryOf,
  isEmpty,
  type MapNode,
  type Place,
  problemAt,
  type SourceNode,
  scalar,
  shown,
} from "./source-node.ts";

/** One `-o key=value`. */
export interface Override {
  readonly path: readonly string[];
  readonly value: string;
}

/**
 * Reads `http.pool.num_workers=4`. Quotes around the value, or around the whole, are taken off; `\"` becomes `"`.
 * `error` says what is wrong instead.
 */
export function parseOverride(text: string): Override | { error: string } {
  const example = "expected key=value, such as -o http.pool.num_workers=4";
  const trimmed = text.trim();
  const quote = /^["'`]/.exec(trimmed)?.[0];
  const whole = quote ? trimmed.replace(/^["'`\s]+/, "").replace(new RegExp(`${quote}$`), "") : trimmed;
  const equals = whole.indexOf("=");
  if (equals < 0) return { error: example };
  const key = whole.slice(0, equals).trim();
  const raw = whole.slice(equals + 1).trim();
  if (key === "") return { error: `the key is empty: ${example}` };
  if (key.split(".").includes("")) return { error: `the key "${key}" has an empty part: ${example}` };
  const value = /^(["'`])([\s\S]*)\1$/.exec(raw)?.[2] ?? raw;
  if (value === "") return { error: `the value is empty: ${example}` };
  return { path: key.split("."), value: value.replaceAll('\\"', '"') };
}

/** Puts the values of overrides into a tree, making sections on the way. Later ones win. */
export function applyOverrides(
  root: MapNode,
  texts: readonly string[],
  env: Environment,
  problems: Problem[],
): MapNode {
  let result = root;
  for (const text of texts) {
    const parsed = parseOverride(text);
    const place: Place = { kind: "override", file: `-o ${shownOverride(text, parsed)}`, line: 0, column: 0 };
    const report = (path: string, message: string) => problems.push(problemAt(place, path, message));
    if ("error" in parsed) report("", parsed.error);
    else result = put(result, parsed.path, overrideNode(parsed.value, env, place), report);
  }
  return result;
}

/** What was typed, without the secrets in it. */
function shownOverride(text: string, parsed: Override | { error: string }): string {
  if ("error" in parsed) return maskText(text);
  const key = parsed.path.join(".");
  // Keys of ours by these names hold paths.
  if (!/^(key|tokens)$/i.test(parsed.path.at(-1)!) && looksSecret(parsed.path.at(-1)!)) return `${key}=${MASK}`;
  return text.endsWith(parsed.value) ? text.slice(0, -parsed.value.length) + maskText(parsed.value) : maskText(text);
}

/** Lists and maps are written as YAML has them in one line; everything else is text, whose key says what it means. */
function overrideNode(value: string, env: Environment, place: Place): SourceNode {
  const { text, variables } = interpolate(value, env);
  const parsed = /^[[{]/.test(text) ? parseSource(`value: ${text}`, place.file, "file") : undefined;
  const node = parsed?.problems.length === 0 ? parsed.root?.entries[0]?.node : undefined;
  return node ? placedAt(node, place) : scalar(text, place, variables, value);
}

function placedAt(node: SourceNode, place: Place): SourceNode {
  if (node.kind === "list") return { ...node, place, items: node.items.map((item) => placedAt(item, place)) };
  if (node.kind === "scalar") return { ...node, place };
  const entries = node.entries.map(({ key, node: value }) => ({ key, keyPlace: place, node: placedAt(value, place) }));
  return { ...node, place, entries };
}

function put(
  map: MapNode,
  [key, ...rest]: readonly string[],
  value: SourceNode,
  report: (path: string, message: string) => void,
  prefix = "",
): MapNode {
  const existing = entryOf(map, key!);
  const own: Entry = existing ?? { key: key!, keyPlace: value.place, node: value };
  const path = prefix + own.key;
  if (rest.length === 0) return withEntry(map, existing, { ...own, keyPlace: value.place, node: value });
  const below = existing?.node;
  if (below && below.kind !== "map" && !isEmpty(below)) {
    report(path, `it is no section: there is ${shown(below)}`);
    return map;
  }
  const section: MapNode = below?.kind === "map" ? below : { kind: "map", place: value.place, entries: [] };
  return withEntry(map, existing, { ...own, node: put(section, rest, value, report, `${path}.`) });
}

function withEntry(map: MapNode, existing: Entry | undefined, entry: Entry): MapNode {
  if (!existing) return { ...map, entries: [...map.entries, entry] };
  return { ...map, entries: map.entries.map((other) => (other === existing ? entry : other)) };
}
