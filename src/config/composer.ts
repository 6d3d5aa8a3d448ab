import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** Both vendor names of RoadRunner's HTTP package; from this major version on it reads protobuf only. */
const HTTP_PACKAGES = ["spiral/roadrunner-http", "roadrunner/http"];
const PROTOBUF_SINCE_MAJOR = 4;

/**
 * Which encoding the installed PHP library reads, found in what Composer installed beside the worker script or in the
 * working directory. JSON unless a version is found that no longer reads it.
 */
export function contextCodecOf(workingDirectory: string, command: readonly string[]): "json" | "proto" {
  const script = command.find((part) => part.endsWith(".php"));
  const directories = [workingDirectory, ...(script ? parents(dirname(resolve(workingDirectory, script))) : [])];
  for (const directory of directories) {
    const version = installedHttpVersion(join(directory, "vendor", "composer", "installed.json"));
    if (version !== undefined) return majorOf(version) >= PROTOBUF_SINCE_MAJOR ? "proto" : "json";
  }
  return "json";
}

function parents(directory: string): string[] {
  const up = dirname(directory);
  return up === directory ? [directory] : [directory, up];
}

function installedHttpVersion(file: string): string | undefined {
  try {
    const content = JSON.parse(readFileSync(file, "utf8")) as { packages?: unknown };
    // Composer 1 writes the list itself, Composer 2 an object around it.
    const packages = (Array.isArray(content) ? content : content.packages) as { name?: string; version?: string }[];
    return packages.find(({ name }) => name !== undefined && HTTP_PACKAGES.includes(name))?.version;
  } catch {
    return undefined;
  }
}

function majorOf(version: string): number {
  return Number(/^v?(\d+)/.exec(version)?.[1] ?? 0);
}
