import type { Problem } from "./problem.ts";
import { problemAt, type SourceNode } from "./source-node.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Interpolation {
  readonly text: string;
  /** Names that were replaced. */
  readonly variables: readonly string[];
  /** Those of them that are not set and have no default. */
  readonly missing: readonly string[];
  /** A "${" has no "}". */
  readonly unclosed: boolean;
}

/** Defaults in defaults; what is deeper stays as it is. */
const DEPTH_MAX = 10;

/**
 * Replaces $NAME, ${NAME} and ${NAME:-default}. What is not set becomes empty; with a default, what is not set or empty
 * becomes the default, in which variables are replaced too. As in RoadRunner "${}" and a "${" without an end vanish and
 * a dollar sign without a name stays. "$$" is a dollar sign.
 */
export function interpolate(text: string, env: Environment): Interpolation {
  const variables: string[] = [];
  const missing: string[] = [];
  let unclosed = false;

  const expand = (part: string, depth: number): string => {
    if (depth > DEPTH_MAX) return part;
    const ends = closingBraces(part);
    let result = "";
    let at = 0;
    for (let dollar = part.indexOf("$"); dollar >= 0; dollar = part.indexOf("$", at)) {
      result += part.slice(at, dollar);
      const name = /^[A-Za-z_][A-Za-z0-9_]*/.exec(part.slice(dollar + 1))?.[0];
      const next = part[dollar + 1];
      if (name !== undefined) {
        result += valueOfReference(name, depth);
        at = dollar + 1 + name.length;
      } else if (next === "{") {
        const end = ends.get(dollar);
        if (end === undefined) unclosed = true;
        else result += valueOfReference(part.slice(dollar + 2, end), depth);
        at = end === undefined ? dollar + 2 : end + 1;
      } else {
        result += "$";
        at = dollar + (next === "$" ? 2 : 1);
      }
    }
    return result + part.slice(at);
  };

  const valueOfReference = (reference: string, depth: number): string => {
    if (reference === "") return "";
    const separator = reference.indexOf(":-");
    const name = separator < 0 ? reference : reference.slice(0, separator);
    variables.push(name);
    const value = env[name];
    if (separator >= 0) return value || expand(reference.slice(separator + 2), depth + 1);
    if (value === undefined) missing.push(name);
    return value ?? "";
  };

  return { text: expand(text, 0), variables, missing, unclosed };
}

/** Where the "}" of each "${" is, by the place of its dollar sign. */
function closingBraces(text: string): ReadonlyMap<number, number> {
  const ends = new Map<number, number>();
  const open: number[] = [];
  for (let at = 0; at < text.length; at++) {
    if (text.startsWith("${", at)) open.push(at);
    else if (text[at] === "}" && open.length > 0) ends.set(open.pop()!, at);
  }
  return ends;
}

/** Text that means itself: the reverse of `interpolate`. */
export function escapeDollars(text: string): string {
  return text.replaceAll("$", "$$$$");
}

/** No variable is known: texts that depend on one are marked instead of being empty. */
export const UNKNOWN_ENVIRONMENT: Environment = {};

/** Replaces variables in all texts of a tree, keys aside. What is odd becomes a warning. */
export function interpolateTree<Kind extends SourceNode>(node: Kind, env: Environment, problems: Problem[]): Kind {
  return interpolateNode(node, env, problems) as Kind;
}

function interpolateNode(node: SourceNode, env: Environment, problems: Problem[]): SourceNode {
  if (node.kind === "list") return { ...node, items: node.items.map((item) => interpolateNode(item, env, problems)) };
  if (node.kind === "map")
    return {
      ...node,
      entries: node.entries.map((entry) => ({ ...entry, node: interpolateNode(entry.node, env, problems) })),
    };
  if (typeof node.value !== "string" || !node.value.includes("$")) return node;
  const { text, variables, missing, unclosed } = interpolate(node.value, env);
  const warn = (message: string) => problems.push(problemAt(node.place, "", message, "warning"));
  const unknown = env === UNKNOWN_ENVIRONMENT && missing.length > 0;
  for (const name of new Set(missing))
    if (unknown) warn(`what the variable ${name} holds is not known here: the value is not checked`);
    else warn(`the variable ${name} is not set and empty here; \${${name}:-value} gives it a default`);
  if (unclosed) warn("a dollar sign and brace have no closing brace here: they are left out");
  return { ...node, value: text, text, variables: [...new Set(variables)], template: node.value, unknown };
}
