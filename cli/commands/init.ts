import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RrError } from "../../src/errors.ts";
import { explainFailure } from "../failure.ts";
import { planInit } from "../init/plan.ts";
import { readProject } from "../init/project.ts";
import type { Command } from "../invocation.ts";
import type { Page } from "../output/output.ts";
import { packageDirectory } from "../package-directory.ts";

interface InitOptions {
  force?: boolean;
  dryRun?: boolean;
}

interface InitResult {
  kind: string;
  directory: string;
  written: string[];
  next: string[];
  dryRun: boolean;
}

/** Writes what is missing. Nothing is written if anything would have to be overwritten. */
export const run: Command<InitOptions> = async ({ globals, options }) => {
  const directory = globals.workingDirectory ?? globals.cwd;
  const project = await readProject(directory);
  const plan = planInit(project, join(packageDirectory(), "php"));
  const taken: string[] = [];
  for (const path of plan.files.keys()) if (await exists(join(directory, path))) taken.push(path);
  const refusal =
    taken.length > 0 && !options.force
      ? new RrError(
          "FAILED_PRECONDITION",
          `${taken.join(" and ")} already in ${directory}: nothing ${options.dryRun ? "would be" : "was"} written; --force overwrites, --dry-run shows what`,
        )
      : undefined;
  if (refusal && !options.dryRun) throw refusal;
  if (!options.dryRun)
    // Without --force a file that came meanwhile is not overwritten either.
    for (const [path, text] of plan.files)
      await writeFile(join(directory, path), text, { flag: options.force ? "w" : "wx" }).catch((thrown) => {
        throw new RrError("INTERNAL", `cannot write ${join(directory, path)}: ${(thrown as Error).message}`, {
          cause: thrown,
        });
      });
  const result: InitResult = {
    kind: plan.kind,
    directory,
    written: [...plan.files.keys()],
    next: [...plan.before, "rrctl serve"],
    dryRun: options.dryRun ?? false,
  };
  return {
    data: {
      kind: result.kind,
      directory,
      dry_run: result.dryRun,
      files: [...plan.files].map(([path, content]) => ({ path, content })),
      next: result.next,
    },
    // A dry run ends as the run would.
    ...(refusal && { failures: [explainFailure(refusal, { command: "init" })] }),
    text: (page) => (result.dryRun ? dryRunText(result, plan.files, page) : writtenText(result, page)),
  };
};

function writtenText(result: InitResult, page: Page): string {
  const files = result.written.map((path) => `  ${path}\n`).join("");
  return `Found ${result.kind}. Wrote to ${result.directory}:\n${files}\nNext:\n${nextText(result, page)}`;
}

function dryRunText(result: InitResult, files: ReadonlyMap<string, string>, page: Page): string {
  const contents = [...files].map(([path, text]) => `${page.paint("bold", `--- ${path}`)}\n${text}\n`).join("");
  return `Found ${result.kind}. Would write to ${result.directory}:\n\n${contents}Next:\n${nextText(result, page)}`;
}

function nextText(result: InitResult, page: Page): string {
  return result.next.map((line) => `  ${page.paint("cyan", line)}\n`).join("");
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
