// Makes a checkout ready: dependencies, build, and with --php a PHP to run workers with. Does only what is missing, so
// that running it again costs a fraction of a second. Imports nothing but Node: it runs before anything is installed.
//
//   node scripts/setup.mjs [--php]
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ensurePhp } from "./php.mjs";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Programs that set-up provides under the name that everything here calls them by. */
const PROGRAMS = join(ROOT, ".cache", "bin");

/** What people can do something about: the message says what; a stack would not help. */
export class SetupError extends Error {}

export function step(text) {
  process.stderr.write(`▸ ${text}\n`);
}

/** The whole set-up. `php`: also find or install PHP. */
export function setUp({ php = false } = {}) {
  checkNode();
  installDependencies();
  build();
  if (php) ensurePhp({ programs: PROGRAMS, step, fail: (text) => fail(text) });
  // For everything that is started from here on.
  process.env.PATH = [PROGRAMS, process.env.PATH].join(delimiter);
}

/** Runs a script's main function; an error that the user can mend ends it with 1 and without a stack. */
export async function runMain(main) {
  try {
    process.exitCode = (await main()) || 0;
  } catch (thrown) {
    if (!(thrown instanceof SetupError)) throw thrown;
    process.stderr.write(`\n${thrown.message}\n`);
    process.exitCode = 1;
  }
}

/** Whether this module is the script that was started. */
export function isMain(moduleUrl) {
  return process.argv[1] !== undefined && moduleUrl === pathToFileURL(process.argv[1]).href;
}

function fail(text) {
  throw new SetupError(text);
}

function checkNode() {
  const { engines } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const wanted = engines.node.replace(/[^\d.]/g, "");
  if (compareVersions(process.versions.node, wanted) >= 0) return;
  fail(
    `This needs Node ${wanted} or newer, and this is Node ${process.versions.node} (${process.execPath}).\n` +
      "Install a current one, for instance from https://nodejs.org or with your version manager, and run the command again.",
  );
}

export function compareVersions(one, other) {
  const others = other.split(".").map(Number);
  for (const [at, number] of one.split(".").map(Number).entries()) {
    const difference = number - (others[at] || 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

function installDependencies() {
  const lock = join(ROOT, "package-lock.json");
  const installed = join(ROOT, "node_modules", ".package-lock.json");
  const stamp = join(ROOT, "node_modules", ".rrctl-installed");
  const digest = digestOf([readFileSync(lock)]);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  // Somebody ran npm by hand: whatever npm wrote after the lock file is what the lock file says.
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
    step("Installing the dependencies (npm ci), about half a minute …");
    // Compilers and test tools are development dependencies: NODE_ENV=production must not leave them out.
    runNpm(["ci", "--include=dev", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]);
  }
  writeFileSync(stamp, digest);
}

function runNpm(args) {
  // Under `npm start` npm says where it is; that also works where "npm" is a script that only a shell can run.
  const { npm_execpath: npmPath } = process.env;
  const [file, ...rest] = npmPath && /npm-cli\.[cm]?js$/.test(npmPath) ? [process.execPath, npmPath] : ["npm"];
  const { status, error } = spawnSync(file, [...rest, ...args], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
    shell: file === "npm" && process.platform === "win32",
  });
  if (status === 0) return;
  fail(
    `"npm ${args.join(" ")}" failed${error ? `: ${error.message}` : ""}. Its reason is above; when it is mended, run the command again.`,
  );
}

function build() {
  const output = join(ROOT, "dist");
  const stamp = join(output, ".built");
  const sources = ["src", "cli", "gen"].flatMap((directory) => filesIn(join(ROOT, directory), ".ts"));
  const inputs = [
    ...sources,
    join(ROOT, "tsconfig.json"),
    join(ROOT, "tsconfig.build.json"),
    join(ROOT, "package-lock.json"),
  ];
  // Names, sizes and times tell all changes, deletions included, without reading a file.
  const digest = digestOf(
    inputs.map((file) => {
      const { mtimeMs, size } = statSync(file);
      return `${relative(ROOT, file)} ${size} ${mtimeMs}\n`;
    }),
  );
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  step("Building (tsc) …");
  const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const { status } = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], {
    cwd: ROOT,
    stdio: "inherit",
  });
  if (status !== 0) fail("The build failed: see the compiler's messages above.");
  const built = new Set(sources.map((file) => join(output, relative(ROOT, file).replace(/\.ts$/, ".js"))));
  for (const file of filesIn(output, ".js")) if (!built.has(file)) rmSync(file);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, digest);
}

function filesIn(directory, ending) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesIn(path, ending);
    return entry.name.endsWith(ending) ? [path] : [];
  });
}

function digestOf(parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

if (isMain(import.meta.url)) await runMain(() => setUp({ php: process.argv.includes("--php") }));
