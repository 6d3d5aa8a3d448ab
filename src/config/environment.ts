import { dirname, resolve } from "node:path";
import { parseDotenv } from "./dotenv.ts";
import { type Environment, interpolate } from "./interpolation.ts";
import type { Problem } from "./problem.ts";
import type { FileReader } from "./read-file.ts";
import { entryOf, type MapNode, type Place, problemAt, textOf } from "./source-node.ts";

export interface EnvironmentContext {
  readonly env: Environment;
  readonly cwd: string;
  /** What `--dotenv` named. */
  readonly dotenv: string | undefined;
  /** Absolute path of the configuration file: `envfile` starts from its folder. */
  readonly file: string;
  readonly readFile: FileReader;
  readonly problems: Problem[];
}

/**
 * The environment, and what the files of `--dotenv` (or DOTENV_PATH, which stands above the flag) and `envfile` add to
 * it. What is set already stays.
 */
export function extendedEnvironment(root: MapNode, context: EnvironmentContext): Environment {
  const { env, cwd, dotenv, file } = context;
  let result = env;
  const flag = env.DOTENV_PATH || dotenv;
  if (flag) {
    const place: Place = { kind: "override", file: env.DOTENV_PATH ? "DOTENV_PATH" : "--dotenv", line: 0, column: 0 };
    result = withFile(result, resolve(cwd, flag), place, "", context);
  }
  const envfile = entryOf(root, "envfile")?.node;
  // What is no text is reported with the rest of the file.
  if (envfile?.kind !== "scalar" || envfile.value === null) return result;
  const path = interpolate(textOf(envfile), result).text;
  return path === "" ? result : withFile(result, resolve(dirname(file), path), envfile.place, "envfile", context);
}

function withFile(
  env: Environment,
  path: string,
  place: Place,
  key: string,
  { readFile, problems }: EnvironmentContext,
): Environment {
  const read = readFile(path);
  if ("error" in read) {
    problems.push(problemAt(place, key, read.error, read.unread ? "warning" : "error"));
    return env;
  }
  const { values, badLines } = parseDotenv(read.text, env);
  const message = "the line is left out: expected NAME=value, and a quote at the end of a value that starts with one";
  for (const line of badLines)
    problems.push(problemAt({ kind: "file", file: path, line, column: 1 }, "", message, "warning"));
  const added = Object.entries(values).filter(([name]) => env[name] === undefined);
  return { ...env, ...Object.fromEntries(added) };
}
