import { systemClock } from "../clock.ts";
import type { OnInitOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { Log } from "../log.ts";
import { childEnvironment, otherUser } from "./child-environment.ts";
import { ChildProcess } from "./child-process.ts";
import { OutputRecords } from "./output-records.ts";
import type { PipePlace } from "./pipes.ts";

interface InitHookSurroundings {
  readonly workingDirectory: string;
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
  readonly pipePlace?: PipePlace | undefined;
  readonly log: Log;
  /** Ends the hook: by SIGTERM, and soon after by SIGKILL. */
  readonly signal: AbortSignal;
}

/** What a hook that is not wanted any more may still take, to undo what it has begun. */
const END_GRACE_MS = 1_000;

/** Runs `server.on_init` to its end. Throws BOOT_FAILED if it fails and the configuration wants that to matter. */
export async function runInitHook(
  options: OnInitOptions,
  { workingDirectory, baseEnv, pipePlace, log, signal }: InitHookSurroundings,
): Promise<void> {
  const command = options.command.join(" ");
  const hookRecords = () =>
    new OutputRecords<string>(systemClock, ({ level, text }) =>
      log[level]({ channel: "server", hook: "on_init" }, text),
    );
  const records = { stdout: hookRecords(), stderr: hookRecords() };
  const child = await ChildProcess.start({
    command: options.command,
    workingDirectory,
    env: {
      ...childEnvironment(baseEnv, undefined, otherUser(options.user, "server.on_init")),
      ...options.env,
    },
    user: options.user,
    userSection: "server.on_init",
    pipePlace,
    stdio: "log",
    onLine: (line, stream) => records[stream].line(line, stream),
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.signal("SIGKILL");
  }, options.execTimeoutMs);
  let killTimer: NodeJS.Timeout | undefined;
  const abort = () => {
    child.signal("SIGTERM");
    killTimer = setTimeout(() => child.signal("SIGKILL"), END_GRACE_MS);
  };
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  const exit = await child.exited;
  for (const one of Object.values(records)) one.flush();
  signal.removeEventListener("abort", abort);
  clearTimeout(timer);
  clearTimeout(killTimer);
  signal.throwIfAborted();
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
