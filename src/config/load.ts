import { availableParallelism } from "node:os";
import { dirname, resolve } from "node:path";
import { type Configuration, ConfigurationSchema } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { RrError } from "../errors.ts";
import { applyDefaults } from "./defaults.ts";
import { extendedEnvironment } from "./environment.ts";
import { includeFiles } from "./include.ts";
import { type Environment, escapeDollars, interpolateTree, UNKNOWN_ENVIRONMENT } from "./interpolation.ts";
import type { ServerConfiguration } from "./options.ts";
import { applyOverrides } from "./overrides.ts";
import { byPosition, type Problem, problemText } from "./problem.ts";
import { type Provenance, provenanceOf } from "./provenance.ts";
import { type FileReader, readNothing, readTextFile } from "./read-file.ts";
import { Reader } from "./reader.ts";
import { resolveConfiguration } from "./resolve.ts";
import { CONFIGURATION } from "./schema.ts";
import { createRedact, maskText, type Redact } from "./secret-text.ts";
import { environmentSecrets, maskConfiguration } from "./secrets.ts";
import { parseSource } from "./source.ts";
import { entryOf, type MapNode } from "./source-node.ts";
import { checkVersion } from "./version.ts";

export const DEFAULT_FILE = ".rr.yaml";

export interface ConfigurationSource {
  /** Path of the file, from `cwd` or absolute, as messages show it. `.rr.yaml` by default. */
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
  /** Reads files; the file system by default. */
  readFile?: FileReader | undefined;
  /** Someone else's text: what the environment and the files of this machine hold stays unknown. Needs `text`. */
  handedIn?: boolean | undefined;
}

export interface LoadedConfiguration {
  readonly configuration: ServerConfiguration;
  /** The same as users would write it, with all defaults. */
  readonly message: Configuration;
  /** Where each value comes from, in order of the schema. */
  readonly provenance: readonly Provenance[];
  /** The same for people, by path: "default", "file:line:column", "-o key=value". */
  readonly origins: ReadonlyMap<string, string>;
  readonly warnings: readonly (Problem & { text: string })[];
  /** The environment for workers: that of the server and what env files added. */
  readonly env: Environment;
  /** The same for everybody's eyes. */
  readonly masked: {
    readonly message: Configuration;
    /** As texts of a file: a dollar sign that is no variable is doubled. */
    readonly file: Configuration;
    readonly provenance: readonly Provenance[];
  };
  /** Takes the secrets of the configuration and of the environment out of any text. */
  readonly redact: Redact;
}

/**
 * Reads, checks and resolves a configuration. Throws CONFIG_INVALID with all problems, one a line, each with its
 * position.
 */
export function loadConfiguration(source: ConfigurationSource): LoadedConfiguration {
  const { loaded, problems } = checkConfiguration(source);
  const errors = problems.filter(({ severity }) => severity === "error");
  if (loaded && errors.length === 0) return loaded;
  const intro = errors.length === 1 ? "the configuration is wrong" : `the configuration has ${errors.length} errors`;
  throw new RrError(
    "CONFIG_INVALID",
    [`${intro}:`, ...errors.map((problem) => `  ${problemText(problem)}`)].join("\n"),
    {
      metadata: { file: source.file ?? DEFAULT_FILE },
      violations: errors.map((problem) => ({ field: problem.path, description: problemText(problem) })),
    },
  );
}

/** More help nobody. */
const PROBLEMS_MAX = 1000;

/** As `loadConfiguration`, but hands out all problems, warnings included, instead of throwing. */
export function checkConfiguration(source: ConfigurationSource): { loaded?: LoadedConfiguration; problems: Problem[] } {
  const name = source.file ?? DEFAULT_FILE;
  const file = resolve(source.cwd, name);
  const readFile = source.handedIn ? readNothing : (source.readFile ?? readTextFile);
  const read = source.text === undefined ? readFile(file) : { text: source.text };
  if ("error" in read) {
    const message = `${read.error}: write one with \`rrctl init\`, or name another one with -c`;
    return { problems: [{ file: name, line: 0, column: 0, path: "", message, severity: "error" }] };
  }
  const parsed = parseSource(read.text, name, "file");
  const problems = [...parsed.problems];
  if (!parsed.root) return { problems: firstOf(problems) };

  const { cwd, dotenv } = source;
  const workingDirectory = source.workingDirectory ?? dirname(file);
  // In RoadRunner's order: the file, env files, variables, -o, included files.
  const given = source.handedIn ? UNKNOWN_ENVIRONMENT : source.env;
  const env = extendedEnvironment(parsed.root, { env: given, cwd, dotenv, file, readFile, problems });
  const interpolated = interpolateSections(parsed.root, env, problems);
  const overridden = applyOverrides(interpolated, source.overrides ?? [], env, problems);
  const written = includeFiles(overridden, { workingDirectory, env, readFile, problems });

  const reader = new Reader(storageNames(written), source.handedIn && entryOf(written, "include") !== undefined);
  const message = reader.read<Configuration>(ConfigurationSchema, checkVersion(written, reader));
  applyDefaults(ConfigurationSchema, message, { processors: availableParallelism() });
  const configuration = resolveConfiguration(message, {
    configFile: source.text === undefined ? file : undefined,
    workingDirectory,
    readFile,
    report: (path, text, severity) => reader.reportAt(path, text, severity),
    reportMissing: (path, text) => reader.reportMissing(path, text),
  });
  const masked = maskConfiguration(message, reader.sources);
  const redact = createRedact([...masked.secrets, ...environmentSecrets(env)]);
  const found = firstOf([...problems, ...reader.problems].map((problem) => withoutSecrets(problem, reader, redact)));
  const provenance = provenanceOf(message, reader.sources);
  const loaded: LoadedConfiguration = {
    configuration: withShownCommands(configuration, masked.message),
    message,
    masked: {
      message: masked.message,
      file: maskConfiguration(message, reader.sources, escapeDollars).message,
      provenance: provenanceOf(masked.message, reader.sources),
    },
    redact,
    provenance,
    origins: new Map(provenance.map(({ path, origin }) => [path, origin])),
    warnings: found
      .filter(({ severity }) => severity === "warning")
      .map((problem) => ({ ...problem, text: problemText(problem) })),
    env,
  };
  return { loaded, problems: found };
}

/** Values of variables by their names, secrets by "***". */
function withoutSecrets(problem: Problem, { sources }: Reader, redact: Redact): Problem {
  let { message } = problem;
  for (const [path, { text = "", template }] of sources)
    if (typeof template === "string" && text.length >= (path === problem.path ? 3 : 6))
      message = message.replaceAll(JSON.stringify(text), JSON.stringify(template)).replaceAll(text, template);
  return { ...problem, message: redact(maskText(message)) };
}

/** Commands as they may be shown. */
function withShownCommands(configuration: ServerConfiguration, masked: Configuration): ServerConfiguration {
  const ofServer = masked.server?.command ?? [];
  const pools = configuration.pools.map((pool) => {
    const own = (pool.name === "http" && masked.http ? masked.http.pool : masked.pools[pool.name])?.command ?? [];
    const shownCommand = own.length > 0 ? own : ofServer;
    return shownCommand.join(" ") === pool.command.join(" ") ? pool : { ...pool, shownCommand };
  });
  return { ...configuration, pools };
}

/** In order. Errors stay whatever is left out, so that a file with one is not taken for right. */
function firstOf(problems: readonly Problem[]): Problem[] {
  const sorted = [...problems].sort(byPosition);
  if (sorted.length <= PROBLEMS_MAX) return sorted;
  const errorsFirst = [...sorted].sort(
    (one, other) => Number(one.severity > other.severity) - Number(one.severity < other.severity),
  );
  const kept = new Set(errorsFirst.slice(0, PROBLEMS_MAX));
  const more = `and ${sorted.length - PROBLEMS_MAX} more`;
  return [
    ...sorted.filter((problem) => kept.has(problem)),
    { ...errorsFirst[0]!, line: 0, column: 0, path: "", message: more },
  ];
}

/** Variables of a section that has no effect are no reason to warn. */
function interpolateSections(root: MapNode, env: Environment, problems: Problem[]): MapNode {
  const entries = root.entries.map((entry) => {
    const known = CONFIGURATION.fields.some(({ name }) => name === entry.key.toLowerCase());
    return { ...entry, node: interpolateTree(entry.node, env, known ? problems : []) };
  });
  return { ...root, entries };
}

/** RoadRunner lets the settings of a storage stand in a section of the storage's own name. */
function storageNames(root: MapNode): string[] {
  const storages = entryOf(root, "kv")?.node;
  return storages?.kind === "map" ? storages.entries.map(({ key }) => key) : [];
}
