#!/usr/bin/env node
import "../src/life/no-debugger.ts";
import "../src/life/first-parent.ts";
import { systemErrorCode } from "../src/errors.ts";
import { VERSION } from "../src/version.ts";
import { currentDirectory } from "./current-directory.ts";
import { runProgram } from "./program.ts";
import { createTerminal } from "./terminal.ts";

/** The only file of the CLI that touches the process: its arguments, environment, signals and end. */

let interrupted: AbortController | undefined;

/** Before someone waits for it, the system's own way with signals is right: the process ends. */
function interruption(): AbortSignal {
  if (interrupted === undefined) {
    const controller = new AbortController();
    interrupted = controller;
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => controller.abort());
  }
  return interrupted.signal;
}

// `rrctl events -f | head` closes the pipe when it has seen enough: that is no failure.
process.stdout.on("error", (error) => {
  process.exit(systemErrorCode(error) === "EPIPE" ? 0 : 1);
});

const exitCode = await runProgram(process.argv.slice(2), {
  version: VERSION,
  cwd: currentDirectory(process.env.PWD, process.cwd()),
  env: process.env,
  terminal: createTerminal(process.stdin, process.stdout, process.stderr, process.env),
  interruption,
});
// Nothing may keep a finished command alive; what was written is flushed first. Commands wait for their readers themselves:
// what is left now is little, or of a log whose reader has stopped.
setTimeout(() => process.exit(exitCode), 1_000);
process.stdout.write("", () => process.exit(exitCode));
