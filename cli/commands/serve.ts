import { rmSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "../invocation.ts";

interface ServeOptions {
  silent?: boolean;
  pid?: boolean;
  debug?: boolean;
  enableExperimental?: boolean;
  /** --no-frontends */
  frontends?: boolean;
}

/** Runs the server in this process until it is stopped. */
export const run: Command<ServeOptions> = async ({ globals, options, env, terminal }) => {
  if (options.debug)
    terminal.messages.write(
      "note: -d has no profiler to switch on here; start node with --inspect or --cpu-prof instead\n",
    );
  if (options.enableExperimental)
    terminal.messages.write("note: -e has no effect: there are no experimental features\n");
  const { serve } = await import("../../src/main.ts");
  const pidFile = options.pid ? join(globals.workingDirectory ?? globals.cwd, ".pid") : undefined;
  if (pidFile !== undefined) {
    await writeFile(pidFile, String(process.pid));
    // A second signal ends the process at once.
    process.once("exit", () => rmSync(pidFile, { force: true }));
  }
  const { configFile, cwd, workingDirectory, overrides, dotenv } = globals;
  try {
    const settings = { configFile, cwd, workingDirectory, env, overrides, dotenv, silent: options.silent ?? false };
    return await serve({ ...settings, withFrontends: options.frontends ?? true });
  } finally {
    if (pidFile !== undefined) await rm(pidFile, { force: true });
  }
};
