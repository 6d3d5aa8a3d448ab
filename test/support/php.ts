import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const PHP_FIXTURES = fileURLToPath(new URL("../fixtures/php/", import.meta.url));

/** "8.2.36", or undefined where there is no PHP. */
export const phpVersion: string | undefined = (() => {
  const { status, stdout } = spawnSync("php", ["-r", "echo PHP_VERSION;"], { encoding: "utf8" });
  return status === 0 ? stdout : undefined;
})();

const extensions = new Set(
  phpVersion === undefined ? [] : spawnSync("php", ["-m"], { encoding: "utf8" }).stdout.split("\n"),
);

/** Skips the suite or test, and says so, where PHP or an extension that the fixtures use is missing. */
export function needsPhp(context: Mocha.Context, ...needed: string[]): void {
  if (phpVersion === undefined) return skip(context, "php is not installed, and these tests run real workers");
  const missing = needed.filter((name) => !extensions.has(name));
  if (missing.length > 0) skip(context, `php has no extension ${missing.join(", ")}`);
}

export function skip(context: Mocha.Context, why: string): void {
  console.log(`    skipped: ${why}`);
  context.skip();
}

/** For tests that need long to be sure: they run with `npm test -- --long`, as in CI. */
export function needsTime(context: Mocha.Context, seconds: number): void {
  if (process.env.RRCTL_TEST_LONG !== "1") skip(context, `it takes ${seconds} s; npm test -- --long runs it`);
}

/** Path of a script in test/fixtures/php. */
export function phpFixture(name: string): string {
  return `${PHP_FIXTURES}${name}`;
}
