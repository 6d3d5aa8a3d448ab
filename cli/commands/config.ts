import { create } from "@bufbuild/protobuf";
import { parse } from "yaml";
import {
  type GetConfigResponse,
  GetConfigResponseSchema,
  ProblemSeverity,
  ValidateConfigResponseSchema,
} from "../../gen/roadrunner/config/v1/config_service_pb.ts";
import { toGetConfigResponse } from "../../src/config/contract.ts";
import { checkConfiguration, loadConfiguration } from "../../src/config/load.ts";
import { type Problem, problemText } from "../../src/config/problem.ts";
import { RrError } from "../../src/errors.ts";
import { configurationSource } from "../address.ts";
import { explainFailure } from "../failure.ts";
import type { Command, Invocation } from "../invocation.ts";
import { messageData } from "../message-data.ts";
import { counted, printable } from "../output/format.ts";
import type { Document, Page } from "../output/output.ts";
import { renderTable } from "../output/table.ts";

interface ShowOptions {
  file?: boolean;
  all?: boolean;
  showSecrets?: boolean;
}

/** The configuration of the running server, or what the file would give. */
export const show: Command<ShowOptions> = async ({ core, globals, env, options }) => {
  const { showSecrets = false } = options;
  const response = options.file
    ? ofFile(globals, env, showSecrets)
    : await core.ask("reading the configuration", (client, signal) =>
        client.config.getConfig({ showSecrets }, { signal }),
      );
  const values = response.provenance.filter(({ origin }) => options.all || origin !== "default");
  const plain: unknown = parse(response.yaml);
  return {
    data: messageData(GetConfigResponseSchema, response),
    // As a file that `serve` takes, not wrapped into the answer of a service.
    yaml: response.yaml,
    text: (page) =>
      renderTable(
        [{ header: "KEY" }, { header: "VALUE" }, { header: "FROM" }],
        values.map(({ path, origin }) => [path, valueText(plain, path), { text: origin, colour: "dim" }]),
        { paint: page.paint },
      ),
  };
};

/** As the service answers, without asking it. */
function ofFile(globals: Invocation["globals"], env: Invocation["env"], showSecrets: boolean): GetConfigResponse {
  return toGetConfigResponse(loadConfiguration(configurationSource(globals, env)), showSecrets);
}

const VALUE_COLUMNS = 60;

/** The value at a path with dots, in one line. Names in maps may have dots themselves: the longest that fits counts. */
function valueText(plain: unknown, path: string): string {
  const value = valueAt(plain, path);
  if (value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length <= VALUE_COLUMNS ? text : `${text.slice(0, VALUE_COLUMNS - 1)}…`;
}

function valueAt(plain: unknown, path: string): unknown {
  if (path === "") return plain;
  if (typeof plain !== "object" || plain === null) return undefined;
  const keys = Object.keys(plain).filter((key) => path === key || path.startsWith(`${key}.`));
  const key = keys.sort((one, other) => other.length - one.length)[0];
  return key === undefined ? undefined : valueAt((plain as Record<string, unknown>)[key], path.slice(key.length + 1));
}

/** Checks a file as `serve` would read it. All problems are listed; errors are exit code 2. */
export const validate: Command = async ({ globals, env, words }): Promise<Document> => {
  const source = configurationSource(globals, env);
  const file = words[0] ?? source.file!;
  const { problems } = checkConfiguration({ ...source, file });
  const errors = problems.filter(({ severity }) => severity === "error");
  const failures =
    errors.length === 0
      ? []
      : [
          explainFailure(new RrError("CONFIG_INVALID", `${file}: ${counted(errors.length, "error")}`), {
            command: "config validate",
          }),
        ];
  const answer = create(ValidateConfigResponseSchema, {
    problems: problems.map((problem) => ({
      ...problem,
      severity: problem.severity === "error" ? ProblemSeverity.ERROR : ProblemSeverity.WARNING,
    })),
  });
  return {
    data: messageData(ValidateConfigResponseSchema, answer),
    text: (page) =>
      problems.map((problem) => problemLine(problem, page)).join("") +
      (errors.length === 0 ? `${file} is valid.\n` : ""),
    failures,
  };
};

function problemLine(problem: Problem, { paint }: Page): string {
  const severity = problem.severity === "error" ? paint("red", "error") : paint("yellow", "warning");
  return `${severity} ${printable(problemText(problem))}\n`;
}
