import { join } from "node:path";
import { RrError, systemErrorCode } from "../../src/errors.ts";
import type { Command } from "../invocation.ts";
import { writePidFile } from "../pid-file.ts";

interface ServeOptions {
  silent?: boolean;
  pid?: boolean;
  debug?: boolean;
  enableExperimental?: boolean;
  /** --no-frontends */
  frontends?: boolean;
}

/** Runs the server in this process until it is stopped. */
export const run: Command<ServeOptions> = async (invocation) => {
  try {
    return await runServer(invocation);
  } catch (thrown) {
    throw await explained(thrown);
  }
};

const runServer: Command<ServeOptions> = async ({ globals, options, env, terminal }) => {
  if (options.debug)
    terminal.messages.write(
      "note: -d has no profiler to switch on here; start node with --inspect or --cpu-prof instead\n",
    );
  if (options.enableExperimental)
    terminal.messages.write("note: -e has no effect: there are no experimental features\n");
  const { serve } = await import("../../src/main.ts");
  const pidFile = options.pid ? writePidFile(join(globals.workingDirectory ?? globals.cwd, ".pid")) : undefined;
  if (pidFile?.problem !== undefined) terminal.messages.write(`warning: ${pidFile.problem}\n`);
  // A second signal ends the process at once.
  if (pidFile !== undefined) process.once("exit", pidFile.remove);
  const { configFile, cwd, workingDirectory, overrides, dotenv } = globals;
  try {
    const settings = { configFile, cwd, workingDirectory, env, overrides, dotenv, silent: options.silent ?? false };
    return await serve({ ...settings, withFrontends: options.frontends ?? true });
  } finally {
    pidFile?.remove();
  }
};

/** What Node says when it cannot open the files of a program leads nowhere: "cannot find package". */
async function explained(thrown: unknown): Promise<unknown> {
  if (thrown instanceof RrError || !["EMFILE", "ERR_MODULE_NOT_FOUND"].includes(systemErrorCode(thrown) ?? ""))
    return thrown;
  const { descriptorsMax, DESCRIPTORS_MIN } = await import("../../src/process/start-warnings.ts").catch(() => NOTHING);
  // To find out takes a descriptor as well.
  const most = descriptorsMax();
  if (most === undefined ? systemErrorCode(thrown) !== "EMFILE" : most >= DESCRIPTORS_MIN) return thrown;
  return new RrError(
    "FAILED_PRECONDITION",
    `a process may have ${most ?? "too few"} file descriptors, the server needs ${DESCRIPTORS_MIN} at least: raise the limit ` +
      "(LimitNOFILE= of systemd, `ulimit -n`)",
    { cause: thrown },
  );
}

/** Not even that can be loaded. */
const NOTHING = { descriptorsMax: () => 0, DESCRIPTORS_MIN: 128 };
