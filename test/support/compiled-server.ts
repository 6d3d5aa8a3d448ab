import { execFile } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ROOT } from "./php.ts";

const OUTPUT = join(ROOT, ".cache", `rrctl-tests-${process.pid}`);
let compiling: Promise<string> | undefined;

/**
 * Path of the compiled `rrctl`, compiled once per run and removed at its end. A server started from the sources would
 * take three times as long, each time, and weigh in its memory what compiles it.
 */
export function compiledRrctl(): Promise<string> {
  compiling ??= compile();
  return compiling;
}

async function compile(): Promise<string> {
  process.once("exit", () => rmSync(OUTPUT, { recursive: true, force: true }));
  const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
  const args = [join(typescript, "bin/tsc"), "-p", "tsconfig.build.json", "--outDir", OUTPUT];
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, { cwd: ROOT }, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
  const main = join(OUTPUT, "cli/main.js");
  // Wrong types are the type check's business; what matters here is that there is something to run.
  if (!existsSync(main)) throw new Error(`the server could not be compiled:\n${output}`);
  return main;
}
