// Finds PHP, or installs it with the system's package manager where that is possible without asking anything.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

const PHP_MIN = [8, 1];
const NAMES = ["php", "php8.5", "php8.4", "php8.3", "php8.2", "php8.1", "php85", "php84", "php83", "php82", "php81"];
/** Where package managers put it without telling the PATH of a shell that is already open. */
const PLACES = [
  "/usr/local/bin/php",
  "/opt/homebrew/bin/php",
  "/opt/homebrew/opt/php/bin/php",
  "C:\\tools\\php\\php.exe",
];

/**
 * In the order in which they are looked for. `commands`: tried one after another until there is a PHP; each is a list of
 * command lines of which only the last must succeed (refreshing a package list may fail and the install still work).
 */
const MANAGERS = [
  {
    program: "apt-get",
    commands: [
      [
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", "php-cli"],
      ],
    ],
  },
  { program: "dnf", commands: [[["dnf", "install", "-y", "php-cli", "php-process"]]] },
  // Alpine names its packages by version and has two or three of them at a time.
  {
    program: "apk",
    commands: ["php84", "php83", "php82", "php85"].map((name) => [
      ["apk", "add", "--no-cache", name, `${name}-pcntl`, `${name}-posix`, `${name}-session`, `${name}-ctype`],
    ]),
  },
  { program: "pacman", commands: [[["pacman", "-Sy", "--noconfirm", "--needed", "php"]]] },
  {
    program: "zypper",
    commands: [[["zypper", "--non-interactive", "install", "php8-cli", "php8-posix", "php8-pcntl"]]],
  },
  { program: "brew", commands: [[["brew", "install", "php"]]], asUser: true },
  // These ask for rights in a window of their own: only told, never run.
  { program: "winget", commands: [[["winget", "install", "PHP.PHP.8.4"]]], tellOnly: true },
  { program: "choco", commands: [[["choco", "install", "php"]]], tellOnly: true },
];

/**
 * Sees to it that "php" can be run, at least 8.1. A PHP that has another name gets a link in `programs`, a directory that
 * the caller puts on the PATH. `fail` throws; it is told the exact command to run.
 */
export function ensurePhp({ programs, step, fail }) {
  const found = findPhp(programs);
  if (found) return provide(found, programs);
  const manager = MANAGERS.find(({ program }) => runs(program, ["--version"]));
  if (!manager)
    fail(
      `${problem()}\nInstall it so that "php --version" works (https://www.php.net/downloads), then run the command again.`,
    );
  const prefix = privileges(manager);
  if (prefix !== undefined) {
    step(`Installing PHP with ${manager.program} …`);
    for (const lines of manager.commands) {
      const results = lines.map(([file, ...args]) => install([...prefix, file, ...args]));
      const installed = results.at(-1) ? findPhp(programs) : undefined;
      if (installed) return provide(installed, programs);
    }
  }
  const sudo = manager.asUser || isRoot() || manager.tellOnly ? "" : "sudo ";
  const lines = manager.commands[0].map((words) => `  ${sudo}${words.join(" ")}`).join("\n");
  fail(
    `${problem()}\nInstall it with\n\n${lines}\n\nand run the command again. If that gives an older PHP, your system needs a newer source of packages for it.`,
  );
}

function problem() {
  const old = versionOf("php");
  const wanted = `PHP ${PHP_MIN.join(".")} or newer`;
  return old
    ? `This needs ${wanted}, and the php in the PATH is ${old.join(".")}.`
    : `This needs ${wanted}, and none was found.`;
}

/** The command of a PHP that is new enough. */
function findPhp(programs) {
  const linked = join(programs, "php");
  const candidates = [...NAMES, ...PLACES.filter((path) => existsSync(path)), ...(existsSync(linked) ? [linked] : [])];
  return candidates.find((command) => isNewEnough(versionOf(command)));
}

function isNewEnough(version) {
  if (!version) return false;
  const [major, minor] = version;
  return major > PHP_MIN[0] || (major === PHP_MIN[0] && minor >= PHP_MIN[1]);
}

function versionOf(command) {
  const { status, stdout } = spawnSync(command, ["-r", "echo PHP_VERSION;"], { encoding: "utf8", windowsHide: true });
  const match = status === 0 ? /(\d+)\.(\d+)\.(\d+)/.exec(stdout) : null;
  return match ? match.slice(1).map(Number) : undefined;
}

function provide(command, programs) {
  const link = join(programs, "php");
  if (command === "php" || command === link) return;
  mkdirSync(programs, { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(isAbsolute(command) ? command : pathOf(command), link);
}

function pathOf(command) {
  const directory = process.env.PATH.split(delimiter).find((one) => existsSync(join(one, command)));
  return join(directory, command);
}

/** What comes before a command to run it with the rights it needs; undefined: that would take a password. */
function privileges({ asUser, tellOnly }) {
  if (tellOnly) return undefined;
  if (asUser || isRoot()) return [];
  return runs("sudo", ["-n", "true"]) ? ["sudo", "-n"] : undefined;
}

function isRoot() {
  return typeof process.getuid === "function" && process.getuid() === 0;
}

function install([file, ...args]) {
  const { status } = spawnSync(file, args, {
    // Package managers are loud; only their complaints matter here.
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", NONINTERACTIVE: "1", HOMEBREW_NO_AUTO_UPDATE: "1" },
  });
  return status === 0;
}

function runs(program, args) {
  return spawnSync(program, args, { stdio: "ignore", windowsHide: true }).status === 0;
}
