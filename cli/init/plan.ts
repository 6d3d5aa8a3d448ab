import { join } from "node:path";
import type { Project } from "./project.ts";
import { configurationText, globalsWorkerText, plainWorkerText, psr7WorkerText } from "./templates.ts";

/** What `rrctl init` will do, and what is left to do by hand. */
export interface InitPlan {
  /** What the project is, for people: "Laravel with laravel/octane". */
  kind: string;
  /** Path relative to the directory → contents. */
  files: Map<string, string>;
  /** Commands to run, in order, before `rrctl serve` can work. */
  before: string[];
}

/** How a worker is started. */
interface WorkerChoice {
  kind: string;
  command: string;
  env?: Record<string, string>;
  workerFile?: { path: string; text: string };
  before?: string[];
}

/** A package that makes an application of a framework run in long-lived workers. */
interface Bridge {
  package: string;
  command: string;
  env?: (directory: string) => Record<string, string>;
}

interface Framework {
  name: string;
  package: string;
  bridges: Bridge[];
  /** Installs the first of the bridges. */
  install: string;
}

const FRAMEWORKS: Framework[] = [
  {
    name: "Laravel",
    package: "laravel/framework",
    bridges: [
      {
        package: "laravel/octane",
        command: "php vendor/bin/roadrunner-worker",
        env: (directory) => ({ APP_BASE_PATH: directory, LARAVEL_OCTANE: "1" }),
      },
      { package: "roadrunner-php/laravel-bridge", command: "php vendor/bin/rr-worker start" },
      { package: "spiral/roadrunner-laravel", command: "php vendor/bin/rr-worker start" },
    ],
    install: "composer require laravel/octane spiral/roadrunner-http nyholm/psr7",
  },
  {
    name: "Symfony",
    package: "symfony/framework-bundle",
    bridges: [
      symfonyRuntime("baldinof/roadrunner-bundle", "Baldinof\\RoadRunnerBundle\\Runtime\\Runtime"),
      symfonyRuntime("fluffydiscord/roadrunner-symfony-bundle", "FluffyDiscord\\RoadRunnerBundle\\Runtime\\Runtime"),
      symfonyRuntime("runtime/roadrunner-symfony-nyholm", "Runtime\\RoadRunnerSymfonyNyholm\\Runtime"),
    ],
    install: "composer require baldinof/roadrunner-bundle",
  },
  {
    name: "Spiral",
    package: "spiral/framework",
    bridges: [{ package: "spiral/roadrunner-bridge", command: "php app.php" }],
    install: "composer require spiral/roadrunner-bridge",
  },
];

function symfonyRuntime(name: string, runtime: string): Bridge {
  return { package: name, command: "php public/index.php", env: () => ({ APP_RUNTIME: runtime }) };
}

export const OWN_PACKAGE = "rrctl/worker";
const PSR7_PACKAGES = ["spiral/roadrunner-worker", "spiral/roadrunner-http", "nyholm/psr7"];

/** Pure: the facts in, the plan out. `phpDirectory` is where this package keeps its PHP library. */
export function planInit(project: Project, phpDirectory: string): InitPlan {
  const choice =
    frameworkChoice(project) ?? existingChoice(project) ?? psr7Choice(project) ?? ownChoice(project, phpDirectory);
  const files = new Map<string, string>();
  if (choice.workerFile) files.set(choice.workerFile.path, choice.workerFile.text);
  files.set(".rr.yaml", configurationText(choice.command, choice.env ?? {}));
  return { kind: choice.kind, files, before: choice.before ?? [] };
}

function frameworkChoice(project: Project): WorkerChoice | undefined {
  const framework = FRAMEWORKS.find((known) => isUsed(project, known.package));
  if (framework === undefined) return undefined;
  const bridge =
    framework.bridges.find((known) => project.installed.has(known.package)) ??
    framework.bridges.find((known) => project.required.has(known.package));
  const chosen = bridge ?? framework.bridges[0]!;
  const before: string[] = [];
  if (bridge === undefined) before.push(framework.install);
  else if (!project.installed.has(bridge.package)) before.push("composer install");
  return {
    kind:
      bridge === undefined
        ? `${framework.name}, which needs ${chosen.package} to run here`
        : `${framework.name} with ${chosen.package}`,
    command: chosen.command,
    env: chosen.env?.(project.directory) ?? {},
    before,
  };
}

function existingChoice(project: Project): WorkerChoice | undefined {
  if (project.existingWorker === undefined) return undefined;
  return {
    kind: `the worker ${project.existingWorker}`,
    command: `php ${project.existingWorker}`,
    before:
      project.hasComposerFile && project.installed.size === 0 && project.required.size > 0 ? ["composer install"] : [],
  };
}

function psr7Choice(project: Project): WorkerChoice | undefined {
  if (!PSR7_PACKAGES.every((name) => isUsed(project, name))) return undefined;
  return {
    kind: "a PSR-7 application with spiral/roadrunner-http",
    command: "php psr-worker.php",
    workerFile: { path: "psr-worker.php", text: psr7WorkerText() },
    before: PSR7_PACKAGES.every((name) => project.installed.has(name)) ? [] : ["composer install"],
  };
}

/** No package is needed: this project's own library comes from vendor/ or from where rrctl is installed. */
function ownChoice(project: Project, phpDirectory: string): WorkerChoice {
  const vendored = project.installed.has(OWN_PACKAGE);
  const autoload = vendored ? undefined : join(phpDirectory, "autoload.php");
  const script = ["public/index.php", "index.php"].find((file) => project.files.has(file));
  const hasVendor = project.installed.size > 0;
  if (script === undefined)
    return {
      kind: "a new worker",
      command: "php worker.php",
      workerFile: { path: "worker.php", text: plainWorkerText({ autoload, hasVendor }) },
    };
  return {
    kind: `the script ${script}, run anew for each request`,
    command: "php worker.php",
    workerFile: { path: "worker.php", text: globalsWorkerText({ autoload, hasVendor, script }) },
  };
}

function isUsed(project: Project, name: string): boolean {
  return project.installed.has(name) || project.required.has(name);
}
