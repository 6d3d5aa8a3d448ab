import { dirname, join, resolve } from "node:path";
import type { FileReader } from "./read-file.ts";

/** Both vendor names of RoadRunner's HTTP package; from this major version on it reads protobuf only. */
const HTTP_PACKAGES = ["spiral/roadrunner-http", "roadrunner/http"];
const PROTOBUF_SINCE_MAJOR = 4;

interface InstalledPackage {
  readonly name?: string;
  readonly version?: string;
  readonly extra?: { readonly "branch-alias"?: Readonly<Record<string, string>> };
}

/**
 * Which encoding the installed PHP library reads, found in what Composer installed: in the folder of the worker script
 * or one above it, else in the working directory. JSON unless a version is found that no longer reads it.
 */
export function installedContextCodec(
  workingDirectory: string,
  command: readonly string[],
  readFile: FileReader,
): "json" | "proto" {
  for (const directory of candidateDirectories(workingDirectory, command)) {
    const read = readFile(join(directory, "vendor", "composer", "installed.json"));
    const installed = "text" in read ? packagesOf(read.text) : undefined;
    // Where Composer installed something, that is the application, whatever lies further up.
    if (installed) return codecOf(installed);
  }
  return "json";
}

function codecOf(installed: readonly InstalledPackage[]): "json" | "proto" {
  const found = installed.find(({ name }) => HTTP_PACKAGES.includes(name?.toLowerCase() ?? ""));
  return found && majorOf(found) >= PROTOBUF_SINCE_MAJOR ? "proto" : "json";
}

function candidateDirectories(workingDirectory: string, command: readonly string[]): string[] {
  const script = command.find((part) => part.endsWith(".php")) ?? command.slice(1).find((part) => part.includes("/"));
  const directories: string[] = [];
  for (
    let directory = script === undefined ? "/" : dirname(resolve(workingDirectory, script));
    dirname(directory) !== directory;
    directory = dirname(directory)
  )
    directories.push(directory);
  return [...directories, workingDirectory];
}

/** Undefined if Composer did not write this. */
function packagesOf(text: string): readonly InstalledPackage[] | undefined {
  try {
    const content = JSON.parse(text) as { packages?: unknown } | unknown[] | null;
    // Composer 1 writes the list itself, Composer 2 an object around it.
    const packages = Array.isArray(content) ? content : content?.packages;
    return Array.isArray(packages) ? (packages as InstalledPackage[]) : undefined;
  } catch {
    return undefined;
  }
}

/** Of "v4.0.1", "4.x-dev", or "dev-master" with an alias. 0: unknown. */
function majorOf({ version = "", extra }: InstalledPackage): number {
  const known = /^v?\d/.test(version) ? version : (extra?.["branch-alias"]?.[version] ?? "");
  return Number(/^v?(\d+)/.exec(known)?.[1] ?? 0);
}
