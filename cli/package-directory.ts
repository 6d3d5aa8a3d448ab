import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Absolute path of this package: one level up from the sources, two from the build. */
export function packageDirectory(): string {
  const found = ["../", "../../"].find((path) => existsSync(new URL(`${path}package.json`, import.meta.url)));
  return fileURLToPath(new URL(found ?? "../", import.meta.url));
}
