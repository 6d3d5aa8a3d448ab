import type { CoreClient } from "../src/client/core-client.ts";
import type { CredentialFiles } from "./credentials.ts";
import type { Output, OutputFormat } from "./output/output.ts";
import type { Environment, Terminal } from "./terminal.ts";

/** What is the same for all commands. */
export interface GlobalOptions {
  /** Absolute: where the command was started. Relative paths of the command line start from here. */
  cwd: string;
  /** Path of the configuration file, from `cwd` or absolute, as messages show it. */
  configFile: string;
  /** It was named by -c, so it has to be there. */
  configFileGiven: boolean;
  /** Absolute: what -w said. Undefined: nothing, and the server works in the folder of its configuration file. */
  workingDirectory: string | undefined;
  dotenv: string | undefined;
  /** "key=value", in order. */
  overrides: string[];
  address: string | undefined;
  /** Files of what is shown to the core, as they were named. */
  credentials: CredentialFiles;
  format: OutputFormat;
}

/** A run of a command: what was asked, and what it may use of the world. */
export interface Invocation<Options = object> {
  /** In the order of the command's definition; missing ones are undefined, a variadic one is the rest. */
  readonly words: readonly string[];
  readonly options: Options;
  readonly globals: GlobalOptions;
  readonly env: Environment;
  readonly terminal: Terminal;
  readonly core: CoreAccess;
  /** Version of this software. */
  readonly version: string;
}

export interface CoreAccess {
  /**
   * Asks the core. The signal given to `work` ends with the time limit of the command or with Ctrl-C; pass it on.
   * `label` says what is waited for, where someone watches.
   */
  ask<Result>(label: string, work: (core: CoreClient, signal: AbortSignal) => Promise<Result>): Promise<Result>;
  /**
   * For what has no end but Ctrl-C, with which streams end quietly. When the core goes away, after it had answered, `open`
   * is asked again until it is back: a watch survives a restart.
   */
  follow<Item>(open: (core: CoreClient, signal: AbortSignal) => AsyncIterable<Item>): AsyncIterable<Item>;
  /** Address in use and where it came from, for messages. */
  location(): Promise<CoreLocation>;
}

export interface CoreLocation {
  /** "tcp://host:port" or "unix:///path". */
  address: string;
  /** "--address", "RRCTL_ADDRESS", "control.listen of /app/.rr.yaml" or "the default". */
  source: string;
}

/** What a module of commands/ exports. A number is an exit code: the command did its own printing, if any. */
export type Command<Options = object> = (invocation: Invocation<Options>) => Promise<Output | number>;
