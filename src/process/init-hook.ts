import type { OnInitOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { Log } from "../log.ts";
import { ChildProcess } from "./child-process.ts";

/** Runs `server.on_init` to its end. Throws BOOT_FAILED if it fails and the configuration wants that to matter. */
export async function runInitHook(
  options: OnInitOptions,
  workingDirectory: string,
  baseEnv: Readonly<Record<string, string | undefined>>,
  log: Log,
): Promise<void> {
  const command = options.command.join(" ");
  const child = await ChildProcess.start({
    command: options.command,
    workingDirectory,
    env: { ...baseEnv, ...options.env },
    user: options.user,
    stdio: "log",
    onLine: (line) => log.info({ channel: "server", hook: "on_init" }, line),
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.signal("SIGKILL");
  }, options.execTimeoutMs);
  const exit = await child.exited;
  clearTimeout(timer);
  if (exit.code === 0) return;
  const ending = timedOut
    ? `did not end within ${options.execTimeoutMs} ms`
    : `ended with ${exit.signal ?? `exit code ${exit.code}`}`;
  const error = new RrError(
    "BOOT_FAILED",
    `server.on_init "${command}" ${ending}${child.lastOutput ? `:\n${child.lastOutput}` : ""}`,
  );
  if (options.exitOnError) throw error;
  log.warn({ channel: "server" }, error.message);
}
