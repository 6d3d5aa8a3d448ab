import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { reflect } from "@bufbuild/protobuf/reflect";
import { Document, isMap, isScalar, type Node, type YAMLMap } from "yaml";
import { type Configuration, ConfigurationSchema } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { RrError } from "../errors.ts";
import { applyDefaults } from "./defaults.ts";
import { parseDotenv } from "./dotenv.ts";
import { type Environment, interpolate } from "./interpolation.ts";
import type { ServerConfiguration } from "./options.ts";
import { type Override, parseOverride } from "./overrides.ts";
import { byPosition, type Problem, problemText } from "./problem.ts";
import { Reader } from "./reader.ts";
import { resolveConfiguration } from "./resolve.ts";
import { type Section, Source } from "./source.ts";

export const DEFAULT_FILE = ".rr.yaml";

export interface ConfigurationSource {
  /** Path of the file; `.rr.yaml` in `cwd` by default. */
  file?: string | undefined;
  cwd: string;
  env: Environment;
  /** `key=value`, with dots between the parts of the key. */
  overrides?: readonly string[];
  /** A file of NAME=value lines; what the environment has wins. */
  dotenv?: string | undefined;
  /** Where relative paths and workers start from. Absent: the folder of the file. */
  workingDirectory?: string | undefined;
  /** The text of the file, if it is not to be read. */
  text?: string | undefined;
}

export interface LoadedConfiguration {
  readonly configuration: ServerConfiguration;
  /** The same as users would write it, with all defaults. */
  readonly message: Configuration;
  /** Where values come from, by path: "default", "file:line:column", "-o key=value". */
  readonly origins: ReadonlyMap<string, string>;
  readonly warnings: readonly (Problem & { text: string })[];
  /** The environment for workers: that of the server and what env files added. */
  readonly env: Environment;
}

/**
 * Reads, checks and resolves a configuration. Throws CONFIG_INVALID with all problems, one a line, each with its
 * position.
 */
export function loadConfiguration(source: ConfigurationSource): LoadedConfiguration {
  const { loaded, problems } = checkConfiguration(source);
  const errors = problems.filter(({ severity }) => severity === "error");
  if (loaded && errors.length === 0) return loaded;
  const [first] = errors;
  const name = first!.file;
  const intro = errors.length === 1 ? "the configuration is wrong" : `the configuration has ${errors.length} errors`;
  throw new RrError(
    "CONFIG_INVALID",
    [`${intro}:`, ...errors.map((problem) => `  ${problemText(problem)}`)].join("\n"),
    {
      metadata: { file: name },
      violations: errors.map((problem) => ({ field: problem.path, description: problemText(problem) })),
    },
  );
}

/** As `loadConfiguration`, but hands out all problems, warnings included, instead of throwing. */
export function checkConfiguration(source: ConfigurationSource): { loaded?: LoadedConfiguration; problems: Problem[] } {
  const file = resolve(source.cwd, source.file ?? DEFAULT_FILE);
  const problems: Problem[] = [];
  const general = (message: string, path = "") =>
    problems.push({ file: source.file ?? DEFAULT_FILE, line: 0, column: 0, path, message, severity: "error" });

  const text = source.text ?? readText(file, general, 'create one with "rrctl init", or name another one with -c');
  if (text === undefined) return { problems };
  const root = new Source(source.file ?? DEFAULT_FILE, text);
  if (root.problems.length > 0) return { problems: root.problems };

  const workingDirectory = source.workingDirectory ?? dirname(file);
  const env = environmentOf(source, root, dirname(file), general);
  const overrideTexts = new Map<Node, string>();
  const sections = new Map(root.sections.map((section) => [section.key, section]));
  for (const override of parsedOverrides(source.overrides ?? [], general))
    applyOverride(sections, root, override, overrideTexts);
  includeFiles(sections, workingDirectory, env, problems);

  const reader = new Reader(env, overrideTexts);
  const message = reader.read<Configuration>(ConfigurationSchema, [...sections.values()]);
  problems.push(...reader.problems);
  checkVersion(sections, root, problems);
  applyDefaults(reflect(ConfigurationSchema, message), reader.origins);
  const configuration = resolveConfiguration(message, {
    configFile: source.text === undefined ? file : undefined,
    workingDirectory,
    env,
    // A key that is wrong already is not reported a second time because it is then missing.
    report: (path, text) => {
      if (!problems.some((problem) => problem.path === path))
        problems.push(placed(reader.origins.get(path), path, text, root));
    },
  });
  problems.sort(byPosition);
  const warnings = problems
    .filter(({ severity }) => severity === "warning")
    .map((problem) => ({ ...problem, text: problemText(problem) }));
  return { loaded: { configuration, message, origins: reader.origins, warnings, env }, problems };
}

function readText(file: string, report: (message: string) => void, hint: string): string | undefined {
  if (!existsSync(file)) {
    report(`the file ${file} does not exist: ${hint}`);
    return undefined;
  }
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    report(`the file ${file} cannot be read: ${(error as Error).message}`);
    return undefined;
  }
}

/** The environment, and below it what `--dotenv` and `envfile` add. */
function environmentOf(
  { env, cwd, dotenv }: ConfigurationSource,
  root: Source,
  directory: string,
  report: (message: string, path?: string) => void,
): Environment {
  // RoadRunner lets the variable win over the flag.
  const flag = env.DOTENV_PATH || dotenv;
  let result: Environment = env;
  const add = (file: string, path: string) => {
    const text = readText(file, (message) => report(message, path), "name one that does");
    if (text !== undefined) result = { ...parseDotenv(text), ...result };
  };
  if (flag) add(resolve(cwd, flag), "--dotenv");
  const envfile = root.sections.find(({ key }) => key === "envfile")?.value;
  if (isScalar(envfile) && typeof envfile.value === "string")
    add(join(directory, interpolate(envfile.value, result)), "envfile");
  return result;
}

function parsedOverrides(texts: readonly string[], report: (message: string, path?: string) => void): Override[] {
  return texts.flatMap((text) => {
    const parsed = parseOverride(text);
    if (typeof parsed !== "string") return [parsed];
    report(parsed, "-o");
    return [];
  });
}

/** Puts a value into the tree of nodes, making the sections on the way. */
function applyOverride(
  sections: Map<string, Section>,
  root: Source,
  { path, value, text }: Override,
  texts: Map<Node, string>,
): void {
  const document = new Document();
  const node = document.createNode(value) as Node;
  texts.set(node, text);
  const [top, ...rest] = path;
  const section = sections.get(top!);
  const keyNode = section?.keyNode ?? markedKey(document, top!, text, texts);
  if (rest.length === 0) {
    sections.set(top!, { key: top!, keyNode, value: node, source: root });
    return;
  }
  const made = isMap(section?.value) ? section.value : (document.createNode({}) as YAMLMap);
  sections.set(top!, { key: top!, keyNode, value: made as Node, source: section?.source ?? root });
  let map = made as YAMLMap;
  for (const key of rest.slice(0, -1)) {
    const next = map.get(key, true) as unknown;
    const child = isMap(next) ? next : (document.createNode({}) as YAMLMap);
    if (child !== next) map.set(markedKey(document, key, text, texts), child);
    map = child as YAMLMap;
  }
  const last = rest.at(-1)!;
  map.delete(last);
  map.set(markedKey(document, last, text, texts), node);
}

/** A key that knows which override it came from, for the message if it is unknown. */
function markedKey(document: Document, key: string, text: string, texts: Map<Node, string>): Node {
  const node = document.createNode(key) as Node;
  texts.set(node, text);
  return node;
}

/** Sections of included files replace those of the root, also where `-o` changed them; later files win. */
function includeFiles(
  sections: Map<string, Section>,
  workingDirectory: string,
  env: Environment,
  problems: Problem[],
): void {
  const include = sections.get("include");
  if (!include?.value) return;
  const node = include.value;
  const names = isScalar(node)
    ? [node]
    : "items" in node
      ? (node.items as Node[]).filter((item) => isScalar(item))
      : [];
  const version = versionText(sections);
  for (const nameNode of names) {
    const name = interpolate(String((nameNode as { value: unknown }).value), env);
    const { line, column } = include.source.position(nameNode);
    const report = (message: string) => problems.push(include.source.problem(line, column, "include", message));
    const text = readText(
      resolve(workingDirectory, name),
      report,
      "paths of included files start from the working directory",
    );
    if (text === undefined) continue;
    const source = new Source(name, text);
    problems.push(...source.problems);
    const included = new Map(source.sections.map((section) => [section.key, section]));
    if (source.problems.length === 0 && versionText(included) !== version)
      report(
        `${name} has version ${versionText(included) ?? "none"}: it must be the same as here, ${version ?? "none"}`,
      );
    for (const [key, section] of included) if (key !== "version" && key !== "include") sections.set(key, section);
  }
}

function versionText(sections: ReadonlyMap<string, Section>): string | undefined {
  const value = sections.get("version")?.value;
  return isScalar(value) ? String(value.value) : undefined;
}

function checkVersion(sections: ReadonlyMap<string, Section>, root: Source, problems: Problem[]): void {
  const version = versionText(sections);
  if (version === undefined && !sections.has("version"))
    problems.push(root.problem(1, 1, "version", 'it is missing: add the line `version: "3"`'));
  else if (version?.startsWith("2"))
    problems.push(
      root.problem(
        1,
        1,
        "version",
        `version "${version}" is RoadRunner 2: most files of version 2 work after changing it to "3"`,
      ),
    );
}

/** A problem at the place that a value came from. */
function placed(origin: string | undefined, path: string, message: string, root: Source): Problem {
  const match = /^(.*):(\d+):(\d+)$/.exec(origin ?? "");
  if (match)
    return { file: match[1]!, line: Number(match[2]), column: Number(match[3]), path, message, severity: "error" };
  return { file: origin?.startsWith("-o") ? origin : root.name, line: 0, column: 0, path, message, severity: "error" };
}
