import { expect } from "chai";
import { type ConfigurationSource, checkConfiguration, type LoadedConfiguration } from "../../../src/config/load.ts";
import { problemText } from "../../../src/config/problem.ts";
import type { FileReader } from "../../../src/config/read-file.ts";

/** The smallest file that is right. */
export const MINIMAL = 'version: "3"\nserver: {command: php worker.php}\nhttp: {address: 127.0.0.1:8080}\n';

/** Files that exist, by absolute path; no others do. */
export function files(texts: Readonly<Record<string, string>>): FileReader {
  return (path) => (texts[path] === undefined ? { error: `the file ${path} does not exist` } : { text: texts[path] });
}

type Options = Partial<ConfigurationSource> & { files?: Readonly<Record<string, string>> };

/** Checks a text as if it were /app/.rr.yaml. No other files exist, no variables are set. */
export function check(text: string, { files: texts = {}, ...source }: Options = {}) {
  const { loaded, problems } = checkConfiguration({
    cwd: "/app",
    env: {},
    readFile: files({ "/app/.rr.yaml": text, ...texts }),
    ...source,
  });
  const textsOf = (severity: "error" | "warning") =>
    problems.filter((problem) => problem.severity === severity).map(problemText);
  return { loaded, errors: textsOf("error"), warnings: textsOf("warning") };
}

/** What a text means; it has to be free of errors. */
export function load(text: string, options: Options = {}): LoadedConfiguration {
  const { loaded, errors } = check(text, options);
  expect(errors).to.deep.equal([]);
  return loaded!;
}

/** The same of the minimal file with more keys. */
export function loadWith(more: string, options: Options = {}): LoadedConfiguration {
  return load(MINIMAL + more, options);
}

/** What is wrong with the minimal file's version and command, and other keys. */
export function errorsWith(more: string, options: Options = {}): string[] {
  return check(`version: "3"\nserver: {command: php worker.php}\n${more}`, options).errors;
}
