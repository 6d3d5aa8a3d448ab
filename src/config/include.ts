import { resolve } from "node:path";
import { type Environment, interpolateTree } from "./interpolation.ts";
import type { Problem } from "./problem.ts";
import type { FileReader } from "./read-file.ts";
import { parseSource } from "./source.ts";
import {
  entryOf,
  isEmpty,
  type MapNode,
  type Place,
  problemAt,
  type SourceNode,
  sameKey,
  shown,
  textOf,
} from "./source-node.ts";

export interface IncludeContext {
  /** Names of files start from here. */
  readonly workingDirectory: string;
  readonly env: Environment;
  readonly readFile: FileReader;
  readonly problems: Problem[];
}

/** Whoever writes a configuration writes this, whatever else is wrong with it. */
const VERSION_LINE = /^[\s{]*["']?version["']?\s*:\s*["']?3["']?\s*[,}]?\s*$/m;

/** These say something of the file that they stand in. */
const KEYS_OF_THE_FILE = ["version", "include", "envfile"];

/**
 * Sections of included files take the place of those of the root, also of what `-o` changed in them; later files win.
 * Each file must have the version of the root. Files that they include themselves are not followed.
 */
export function includeFiles(root: MapNode, context: IncludeContext): MapNode {
  const include = entryOf(root, "include");
  if (!include || isEmpty(include.node)) return root;
  let result = root;
  for (const { name, place } of namesOf(include.node)) {
    const included = readIncluded(name, place, root, context);
    if (included) result = replaceSections(result, included, context.problems);
  }
  return result;
}

/** What is no path is reported with the rest of the file. */
function namesOf(node: SourceNode): { name: string; place: Place }[] {
  if (node.kind === "list") return node.items.flatMap(namesOf);
  if (node.kind !== "scalar" || node.value === null) return [];
  const names = textOf(node)
    .split(",")
    .map((name) => name.trim());
  return names.filter((name) => name !== "").map((name) => ({ name, place: node.place }));
}

function readIncluded(name: string, place: Place, root: MapNode, context: IncludeContext): MapNode | undefined {
  const { workingDirectory, env, readFile, problems } = context;
  const read = readFile(resolve(workingDirectory, name));
  if ("error" in read) {
    const hint = read.unread ? "" : "; paths start from the working directory";
    problems.push(problemAt(place, "include", `${read.error}${hint}`, read.unread ? "warning" : "error"));
    return undefined;
  }
  const parsed = parseSource(read.text, name, "include");
  if (!parsed.root) {
    if (VERSION_LINE.test(read.text)) problems.push(...parsed.problems);
    else problems.push(problemAt(place, "include", `${name} is no configuration: it has no line \`version: "3"\``));
    return undefined;
  }
  // Nothing is told of what stands in a file that does not say it is a configuration: it may be anything.
  const version = entryOf(interpolateTree(parsed.root, env, []), "version")?.node;
  const [own, expected] = [versionText(version), versionText(entryOf(root, "version")?.node)];
  if (own !== expected) {
    problems.push(
      problemAt(
        version?.place ?? parsed.root.place,
        "version",
        `expected ${expected}, the version of the file that includes this one, got ${own}`,
      ),
    );
    return undefined;
  }
  problems.push(...parsed.problems);
  const tree = interpolateTree(parsed.root, env, problems);
  for (const key of ["include", "envfile"]) {
    const entry = entryOf(tree, key);
    if (entry) problems.push(problemAt(entry.keyPlace, key, "it has no effect in an included file", "warning"));
  }
  return tree;
}

function versionText(node: SourceNode | undefined): string {
  return node ? shown(node) : "none";
}

function replaceSections(root: MapNode, included: MapNode, problems: Problem[]): MapNode {
  const sections = included.entries.filter(({ key }) => !KEYS_OF_THE_FILE.includes(key.toLowerCase()));
  const kept = root.entries.filter((entry) => {
    const by = sections.find(({ key }) => sameKey(key, entry.key));
    for (const place of by ? overridesIn(entry.node) : [])
      problems.push(
        problemAt(place, "", `it has no effect: ${by!.keyPlace.file} replaces the section "${entry.key}"`, "warning"),
      );
    return !by;
  });
  return { ...root, entries: [...kept, ...sections] };
}

function overridesIn(node: SourceNode): Place[] {
  if (node.kind === "map") return node.entries.flatMap((entry) => overridesIn(entry.node));
  return node.place.kind === "override" ? [node.place] : [];
}
