import { statSync } from "node:fs";
import { RrError, systemErrorCode } from "../errors.ts";

export interface SpawnAttempt {
  readonly command: readonly string[];
  readonly workingDirectory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly user?: string | undefined;
  readonly group?: string | undefined;
  /** Section of the configuration that names them; "server" unless told otherwise. */
  readonly userSection?: string | undefined;
}

/** What the system has too little of now: another attempt may succeed, and no other way of doing it would. */
const SHORTAGES = ["EMFILE", "ENFILE", "EAGAIN", "ENOMEM"];

export function isShortage(thrown: unknown): boolean {
  return SHORTAGES.includes(systemErrorCode(thrown) ?? "");
}

/** Why a process could not be started, with what to do about it. */
export function spawnProblem(attempt: SpawnAttempt, thrown: unknown): RrError {
  if (thrown instanceof RrError) return thrown;
  const code = systemErrorCode(thrown) ?? "";
  const text = PROBLEMS[code]?.(attempt) ?? (thrown instanceof Error ? thrown.message : String(thrown));
  const command = attempt.command.join(" ");
  return new RrError("BOOT_FAILED", `cannot run "${command}": ${text}`, {
    cause: thrown,
    metadata: {
      command,
      working_directory: attempt.workingDirectory,
      code: code || undefined,
      // It says nothing of the command: to run that by hand would help nobody.
      shortage: isShortage(thrown) ? "true" : undefined,
    },
  });
}

const PROBLEMS: Readonly<Partial<Record<string, (attempt: SpawnAttempt) => string>>> = {
  ENOENT: ({ command: [file], workingDirectory }) =>
    `"${file}" was not found: is it installed and in the PATH, and does ${workingDirectory} exist?`,
  ENOTDIR: ({ command: [file], workingDirectory }) =>
    isFolder(workingDirectory)
      ? `a part of the path "${file}" is no folder: check the command`
      : `the working directory ${workingDirectory} is no folder`,
  EACCES: ({ command: [file], workingDirectory, user }) =>
    `"${file}" may not be executed${user === undefined ? "" : ` by user "${user}"`}: check its permissions and those of ${workingDirectory}`,
  ENOEXEC: ({ command: [file] }) => `"${file}" is no program: a script needs a first line such as #!/usr/bin/env php`,
  ELOOP: ({ command: [file] }) => `symbolic links on the way to "${file}" lead in a circle`,
  EPERM: ({ user, group, userSection = "server" }) => {
    if (user === undefined && group === undefined)
      return "the system does not permit it: look at limits of the container or service (seccomp, AppArmor, NoNewPrivileges)";
    const key = `${userSection}.${user === undefined ? "group" : "user"}`;
    return `${key} "${user ?? group}" needs root: start the server as root, or remove ${key} from the configuration`;
  },
  EINVAL: ({ userSection = "server", user }) =>
    user === undefined
      ? "the system takes an argument for wrong"
      : `${userSection}.user "${user}" is no user here (a container without this id?)`,
  E2BIG: tooBig,
  EMFILE: () =>
    "the server has all file descriptors that it may have: raise the limit (LimitNOFILE= of systemd, `ulimit -n`)",
  ENFILE: () => "the machine has all file descriptors that it may have: raise fs.file-max (sysctl)",
  EAGAIN: () =>
    "the system takes no more processes of this user: raise the limit (TasksMax= and LimitNPROC= of systemd, `ulimit -u`)",
  ENOMEM: () => "the system has too little memory for one more process: use fewer workers, or give it more",
};

/** Names and sizes only: values may be secrets. */
function tooBig({ command, env }: SpawnAttempt): string {
  const variables = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, bytes: Buffer.byteLength(`${name}=${value}`) + 1 }],
  );
  const bytes = variables.reduce((sum, variable) => sum + variable.bytes, 0);
  const [largest] = variables.sort((one, other) => other.bytes - one.bytes);
  const argumentBytes = command.reduce((sum, word) => sum + Buffer.byteLength(word) + 1, 0);
  const most = largest ? `; the largest is ${largest.name} with ${largest.bytes} bytes` : "";
  return (
    `its environment of ${variables.length} variables and ${bytes} bytes, with arguments of ${argumentBytes} bytes, is ` +
    `larger than the system takes${most}: take it out of server.env, or of the environment that the server is started with`
  );
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
