import { access, readFile } from "node:fs/promises";
import { join } from "node:path";

/** What is known about a PHP project, as far as choosing a worker needs it. */
export interface Project {
  directory: string;
  /** Names of the packages in vendor/. */
  installed: ReadonlySet<string>;
  /** Names of the packages that composer.json asks for. */
  required: ReadonlySet<string>;
  hasComposerFile: boolean;
  /** Which of `PROBED_FILES` are there. */
  files: ReadonlySet<string>;
  /** A script that waits for requests of RoadRunner already, relative to the directory. */
  existingWorker: string | undefined;
}

const WORKER_FILES = ["psr-worker.php", "worker.php", "http-worker.php", "bin/worker.php", "public/worker.php"];
const PROBED_FILES = ["artisan", "app.php", "bin/console", "public/index.php", "index.php", ...WORKER_FILES];
/** What worker scripts of RoadRunner call, of its first version too. */
const WORKER_CALL = /->\s*(waitPayload|waitRequest|acceptRequest|receive)\s*\(|RoadRunner|Rrctl\\/;

export async function readProject(directory: string): Promise<Project> {
  const composer = await readJson(join(directory, "composer.json"));
  const installed = await readJson(join(directory, "vendor/composer/installed.json"));
  const files = new Set<string>();
  for (const file of PROBED_FILES) if (await exists(join(directory, file))) files.add(file);
  return {
    directory,
    installed: new Set(installedNames(installed)),
    required: new Set([...keysOf(composer?.require), ...keysOf(composer?.["require-dev"])]),
    hasComposerFile: composer !== undefined,
    files,
    existingWorker: await findWorker(directory, files),
  };
}

async function findWorker(directory: string, files: ReadonlySet<string>): Promise<string | undefined> {
  for (const file of WORKER_FILES)
    if (files.has(file) && WORKER_CALL.test(await readFile(join(directory, file), "utf8"))) return file;
  return undefined;
}

type JsonObject = Record<string, unknown>;

/** Undefined if it is not there or not JSON: then nothing is known from it, which is no reason to stop. */
async function readJson(file: string): Promise<JsonObject | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    return typeof value === "object" && value !== null ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

/** Composer 2 writes { packages: [...] }, Composer 1 the list itself. */
function installedNames(installed: JsonObject | undefined): string[] {
  const packages = Array.isArray(installed) ? installed : installed?.packages;
  if (!Array.isArray(packages)) return [];
  return packages.flatMap((entry) => (typeof entry?.name === "string" ? [entry.name.toLowerCase()] : []));
}

function keysOf(section: unknown): string[] {
  return typeof section === "object" && section !== null ? Object.keys(section).map((name) => name.toLowerCase()) : [];
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
