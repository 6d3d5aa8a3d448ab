import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { phpFixture, ROOT } from "../support/php.ts";

/** Versions of RoadRunner's PHP packages that belong together; protocol and encodings changed between them. */
export interface PackageSet {
  readonly name: string;
  readonly require: Readonly<Record<string, string>>;
}

export const PACKAGE_SETS: readonly PackageSet[] = [
  { name: "worker-2", require: { "spiral/roadrunner-worker": "^2.3", "spiral/roadrunner-http": "^2.2" } },
  { name: "worker-3-json", require: { "spiral/roadrunner-worker": "^3.4", "spiral/roadrunner-http": "~3.4.0" } },
  { name: "worker-3-both", require: { "spiral/roadrunner-worker": "^3.5", "spiral/roadrunner-http": "^3.5" } },
  { name: "worker-3-proto", require: { "spiral/roadrunner-worker": "^3.7", "spiral/roadrunner-http": "^4.0" } },
];

const COMPOSER_LIMIT_MS = 90_000;

/**
 * The folder of a set with its `vendor` and the worker beside it, or why it cannot be had. RR_OFFICIAL_PACKAGES names a
 * folder that holds ready-made sets by name; otherwise Composer installs them once into .cache.
 */
export function installSet({ name, require }: PackageSet): { directory: string } | { unavailable: string } {
  const given = process.env.RR_OFFICIAL_PACKAGES;
  const directory = join(given ?? join(ROOT, ".cache", "official"), name);
  if (!existsSync(join(directory, "vendor", "autoload.php"))) {
    if (given) return { unavailable: `RR_OFFICIAL_PACKAGES (${given}) has no ${name}/vendor` };
    const problem = composerInstall(directory, require);
    if (problem) return { unavailable: problem };
  }
  copyFileSync(phpFixture("official/psr-worker.php"), join(directory, "psr-worker.php"));
  return { directory };
}

function composerInstall(directory: string, require: PackageSet["require"]): string | undefined {
  mkdirSync(directory, { recursive: true });
  // A set that could not be installed is not tried again by every run of the tests.
  const note = join(directory, "unavailable.txt");
  if (existsSync(note)) return readFileSync(note, "utf8");
  const all = { ...require, "nyholm/psr7": "^1.5" };
  writeFileSync(join(directory, "composer.json"), JSON.stringify({ require: all, config: { "allow-plugins": false } }));
  const composer = spawnSync("composer", ["install", "--no-interaction", "--no-progress", "--quiet"], {
    cwd: directory,
    encoding: "utf8",
    timeout: COMPOSER_LIMIT_MS,
  });
  if (composer.error) return `Composer is not installed (${composer.error.message})`;
  if (composer.status === 0) return undefined;
  const wanted = Object.entries(require).map(([name, version]) => `${name}:${version}`);
  const problem = `Composer cannot install ${wanted.join(" ")} here`;
  writeFileSync(note, problem);
  return problem;
}

/** Versions that Composer installed, for the titles of tests. */
export function installedVersions(directory: string): string {
  const { packages } = JSON.parse(readFileSync(join(directory, "vendor/composer/installed.json"), "utf8")) as {
    packages: { name: string; version: string }[];
  };
  return packages
    .filter(({ name }) => /goridge|roadrunner/.test(name))
    .map(({ name, version }) => `${name} ${version}`)
    .join(", ");
}
