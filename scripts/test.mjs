// npm test: sets everything up, then runs all checks and tests, each to its end, and closes with one line of figures.
// With --long also the tests that need long to be sure. Other arguments go to mocha and skip the other checks:
// npm test -- test/unit/http --grep cookies
import { spawn } from "node:child_process";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { isMain, ROOT, runMain, setUp, step } from "./setup.mjs";

const script = (...path) => [process.execPath, join(ROOT, "node_modules", ...path)];
const BUF = script("@bufbuild", "buf", "bin", "buf");
// Behind the pipe it is read through, mocha does not see the terminal that its output ends up on.
const MOCHA = [...script("mocha", "bin", "mocha.js"), ...(process.stdout.isTTY ? ["--color"] : [])];

const LONG = "--long";

/** `count` reads the figures from what the program printed; without it the step itself counts as one. */
const CHECKS = [
  { name: "format and lint", command: [...script("@biomejs", "biome", "bin", "biome"), "check", "."] },
  { name: "contract: lint", command: [...BUF, "lint"] },
  { name: "contract: format", command: [...BUF, "format", "--diff", "--exit-code"] },
  { name: "types", command: [...script("typescript", "bin", "tsc"), "--noEmit"] },
  { name: "PHP", command: ["php", join("php", "tests", "run.php")], count: countPhp },
  { name: "tests", command: MOCHA, count: countMocha },
];

async function main() {
  setUp({ php: true });
  const mochaArguments = process.argv.slice(2).filter((argument) => argument !== LONG);
  if (process.argv.includes(LONG)) process.env.RRCTL_TEST_LONG = "1";
  const checks =
    mochaArguments.length > 0 ? [{ name: "tests", command: [...MOCHA, ...mochaArguments], count: countMocha }] : CHECKS;
  const total = { passed: 0, failed: 0, skipped: 0 };
  const failures = [];
  for (const check of checks) {
    step(check.name);
    const { exitCode, output } = await run(check.command);
    const result = check.count?.(output) ?? { passed: exitCode === 0 ? 1 : 0, failed: 0, skipped: 0 };
    // Whatever a program printed: if it did not end well, something failed.
    if (exitCode !== 0 && result.failed === 0) result.failed = 1;
    for (const key of Object.keys(total)) total[key] += result[key];
    if (result.failed > 0) failures.push(check.name);
  }
  if (failures.length > 0) process.stdout.write(`\nFailed: ${failures.join(", ")}. See above.\n`);
  process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
  return failures.length > 0 ? 1 : 0;
}

/** Runs to the end; what is printed is shown and kept. */
function run([file, ...args]) {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
      process.stdout.write(chunk);
    });
    child.once("error", (error) => {
      process.stdout.write(`${file}: ${error.message}\n`);
      resolve({ exitCode: 1, output });
    });
    child.once("close", (exitCode) => resolve({ exitCode: exitCode ?? 1, output }));
  });
}

function countPhp(output) {
  return { passed: figure(output, "passed"), failed: figure(output, "failed"), skipped: figure(output, "skipped") };
}

function countMocha(output) {
  return { passed: figure(output, "passing"), failed: figure(output, "failing"), skipped: figure(output, "pending") };
}

/** The number before a word, the last time it stands at the start of a line or after a comma. */
function figure(output, word) {
  const found = [...stripVTControlCharacters(output).matchAll(new RegExp(`(?:^|,)[ \\t]*(\\d+) ${word}\\b`, "gm"))].at(
    -1,
  );
  return found ? Number(found[1]) : 0;
}

if (isMain(import.meta.url)) await runMain(main);
