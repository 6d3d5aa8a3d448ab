import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Argument, CommanderError, Option, Command as Parser } from "commander";
import { RrError } from "../src/errors.ts";
import { DEFAULT_CONFIG_FILE } from "./address.ts";
import { LazyCoreAccess } from "./core-access.ts";
import {
  ACCEPTED_OPTIONS,
  COMMANDS,
  type CommandDefinition,
  FAMILIES,
  GLOBAL_OPTIONS,
  type OptionDefinition,
  TIMEOUT_OPTION,
} from "./definitions.ts";
import { EXIT_INTERRUPTED, EXIT_USAGE, explainFailure, Interrupted } from "./failure.ts";
import type { Command, GlobalOptions } from "./invocation.ts";
import { isOutputFormat, type OutputFormat } from "./output/output.ts";
import { printFailure, printOutput } from "./output/printer.ts";
import type { Environment, Terminal } from "./terminal.ts";
import { parseDurationMs } from "./values.ts";

/** The world as main gives it. */
export interface ProgramOptions {
  version: string;
  cwd: string;
  env: Environment;
  terminal: Terminal;
  /** Takes Ctrl-C over from the system's default; asked only when something is waited for. */
  interruption: () => AbortSignal;
}

type OptionValues = Record<string, unknown>;

/** Runs one command line (without the program's name); resolves with the exit code. Never throws. */
export async function runProgram(argv: readonly string[], options: ProgramOptions): Promise<number> {
  if (argv[0] === "__complete") return (await import("./commands/complete.ts")).printCandidates(argv.slice(2), options);
  let exitCode = 0;
  const root = buildParser(options, async (definition, words, own, given) => {
    exitCode = await runCommand(definition, words, own, given, options);
  });
  if (argv.length === 0) {
    root.outputHelp();
    return 0;
  }
  try {
    await root.parseAsync(argv, { from: "user" });
    return exitCode;
  } catch (thrown) {
    // The parser has said by itself what is wrong, or printed the help that was asked for.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : EXIT_USAGE;
    throw thrown;
  }
}

type Run = (definition: CommandDefinition, words: string[], own: OptionValues, given: OptionValues) => Promise<void>;

/** The commander tree of the definitions. `given` has the options before the command, `own` those after it. */
export function buildParser({ version, terminal }: Pick<ProgramOptions, "version" | "terminal">, run: Run): Parser {
  const root = new Parser("rrctl")
    .description("Serves PHP applications with pools of long-lived workers, and steers a running server.")
    .usage("[options] <command>")
    .version(version, "-v, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .addHelpCommand(new Parser("help").argument("[command]").summary("print help of a command").helpGroup("Set-up:"))
    // Options before the command belong to all, those after it to the command: `workers -w` watches, `-w dir workers`
    // changes the directory.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.write(text),
      writeErr: (text) => terminal.messages.write(text),
      getOutHasColors: () => terminal.paint("bold", "x") !== "x",
      getErrHasColors: () => terminal.messages.paint("bold", "x") !== "x",
      getOutHelpWidth: () => Math.min(terminal.columns ?? HELP_COLUMNS, HELP_COLUMNS),
      outputError: (text, write) => write(text.replace(/^error:/, terminal.messages.paint("red", "error:"))),
    })
    .configureHelp({
      styleTitle: (title) => terminal.paint("bold", title),
      subcommandTerm: (command) => [command.name(), ...command.registeredArguments.map(argumentTerm)].join(" "),
    })
    .showHelpAfterError(helpHint("rrctl --help", terminal))
    .addHelpText("after", ROOT_HELP);
  for (const option of GLOBAL_OPTIONS) root.addOption(commanderOption(option));
  for (const option of ACCEPTED_OPTIONS) root.addOption(commanderOption({ ...option, hidden: true }));

  const families = new Map<string, Parser>();
  for (const definition of COMMANDS) {
    const [first, second] = definition.path.split(" ") as [string, string | undefined];
    let parent = root;
    if (second !== undefined) {
      parent = families.get(first) ?? addFamily(root, first);
      families.set(first, parent);
    }
    const command = addCommand(parent, second ?? first, definition, root, run);
    command.showHelpAfterError(helpHint(`rrctl ${definition.path} --help`, terminal));
    if (second === undefined) command.helpGroup(`${definition.group}:`);
  }
  return root;
}

function addFamily(root: Parser, name: string): Parser {
  const { group, summary } = FAMILIES[name]!;
  return root
    .command(name)
    .summary(summary)
    .description(sentence(summary))
    .helpGroup(`${group}:`)
    .usage("<command>")
    .helpCommand(false);
}

function addCommand(parent: Parser, name: string, definition: CommandDefinition, root: Parser, run: Run): Parser {
  const { description, summary } = definition;
  const command = parent
    .command(name)
    .summary(summary)
    .description(`${sentence(summary)}${description === undefined ? "" : `\n${description}`}`)
    .addHelpText("after", examplesText(definition));
  for (const argument of definition.arguments ?? []) {
    const words = argument.variadic ? `${argument.name}...` : argument.name;
    command.argument(argument.required ? `<${words}>` : `[${words}]`, argument.description);
  }
  for (const option of definition.options ?? []) command.addOption(commanderOption(option));
  if (definition.uses === "core" && !hasFlag(definition, "--timeout"))
    command.addOption(commanderOption(TIMEOUT_OPTION));
  for (const option of GLOBAL_OPTIONS)
    if (option.for.includes(definition.uses))
      command.addOption(commanderOption(withoutTakenShort(option, definition)).helpGroup("Options of all commands:"));
  if (definition.uses === "core" || definition.uses === "configuration")
    for (const option of ACCEPTED_OPTIONS) addAccepted(command, definition, option);
  command.action((...parameters: unknown[]) => {
    const words = parameters.slice(0, -2).flat() as (string | undefined)[];
    return run(
      definition,
      words.filter((word) => word !== undefined),
      command.opts(),
      root.opts(),
    );
  });
  return command;
}

/** Adds what is only accepted, as far as the command does not know it as its own. */
function addAccepted(command: Parser, definition: CommandDefinition, option: OptionDefinition): void {
  const long = /--[\w-]+/.exec(option.flags)![0];
  if (!hasFlag(definition, long))
    command.addOption(commanderOption({ ...withoutTakenShort(option, definition), hidden: true }));
}

function argumentTerm(argument: Argument): string {
  const words = argument.variadic ? `${argument.name()}...` : argument.name();
  return argument.required ? `<${words}>` : `[${words}]`;
}

function helpHint(line: string, terminal: Terminal): string {
  return `${terminal.messages.paint("cyan", "hint:")} \`${line}\` shows how it is used`;
}

function commanderOption(definition: OptionDefinition): Option {
  const option = new Option(definition.flags, definition.description);
  if (definition.choices !== undefined) option.choices(definition.choices);
  if (definition.default !== undefined) option.default(definition.default);
  if (definition.hidden) option.hideHelp();
  if (definition.repeatable)
    option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
  return option;
}

function hasFlag(definition: CommandDefinition, flag: string): boolean {
  return (definition.options ?? []).some((option) => option.flags.split(/[ ,]+/).includes(flag));
}

/** A global option whose short form the command uses for something of its own keeps its long form. */
function withoutTakenShort(option: OptionDefinition, definition: CommandDefinition): OptionDefinition {
  const short = /^(-\w), /.exec(option.flags)?.[1];
  if (short === undefined || !hasFlag(definition, short)) return option;
  return { ...option, flags: option.flags.slice(short.length + 2) };
}

async function runCommand(
  definition: CommandDefinition,
  words: string[],
  own: OptionValues,
  given: OptionValues,
  { version, cwd, env, terminal, interruption }: ProgramOptions,
): Promise<number> {
  let format: OutputFormat = "table";
  let core: LazyCoreAccess | undefined;
  try {
    const globals = resolveGlobals(own, given, cwd);
    format = globals.format;
    const timeoutMs =
      typeof own.timeout === "string" && !hasFlag(definition, "--timeout")
        ? parseDurationMs("--timeout", own.timeout)
        : (definition.timeoutMs ?? 0);
    core = new LazyCoreAccess({ globals, env, terminal, timeoutMs, interruption });
    const run = (await definition.load()) as Command<OptionValues>;
    const output = await run({ words, options: { ...given, ...own }, globals, env, terminal, core, version });
    return typeof output === "number" ? output : await printOutput(output, format, terminal);
  } catch (thrown) {
    if (thrown instanceof Interrupted) return EXIT_INTERRUPTED;
    const failure = explainFailure(thrown, { command: definition.path, core: core?.located });
    printFailure(failure, format, terminal);
    if (isTruthy(env.RRCTL_DEBUG)) terminal.messages.write(`${stackOf(thrown)}\n`);
    return failure.exitCode;
  } finally {
    await core?.close();
  }
}

/** Options before the command and after it, as one. Those after it stand above; lists are joined. */
export function resolveGlobals(own: OptionValues, given: OptionValues, cwd: string): GlobalOptions {
  const one = (name: string) => (own[name] ?? given[name]) as string | undefined;
  const all = (name: string) => [...((given[name] as string[]) ?? []), ...((own[name] as string[]) ?? [])];
  const overrides = all("override");
  let shortFormat: string | undefined;
  // `-o=key=value` is `-o key=value`: the parser takes the first "=" for a part of the value.
  for (const value of all("o"))
    if (value.includes("=")) overrides.push(value.replace(/^=/, ""));
    else shortFormat = value;
  const format = one("output") ?? shortFormat ?? "table";
  if (!isOutputFormat(format))
    throw new RrError(
      "INVALID_REQUEST",
      `-o "${format}": expected table, json or yaml, or key=value of the configuration`,
    );
  const workdir = one("workdir") ?? one("WorkDir");
  const workingDirectory = workdir === undefined ? undefined : resolve(cwd, workdir);
  return {
    cwd,
    configFile: one("config") ?? defaultConfigFile(cwd, workdir),
    configFileGiven: one("config") !== undefined,
    workingDirectory,
    dotenv: one("dotenv"),
    overrides,
    address: one("address"),
    credentials: {
      tokenFile: one("tokenFile"),
      tlsCa: one("tlsCa"),
      tlsCert: one("tlsCert"),
      tlsKey: one("tlsKey"),
    },
    format,
  };
}

/** RoadRunner looks where it was started, whatever -w says. Where nothing is there, -w names the likelier place. */
function defaultConfigFile(cwd: string, workdir: string | undefined): string {
  if (workdir === undefined || existsSync(join(cwd, DEFAULT_CONFIG_FILE))) return DEFAULT_CONFIG_FILE;
  return join(workdir, DEFAULT_CONFIG_FILE);
}

function isTruthy(value: string | undefined): boolean {
  return value !== undefined && value !== "" && value !== "0";
}

function stackOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return thrown.cause === undefined ? String(thrown.stack) : `${thrown.stack}\ncaused by ${stackOf(thrown.cause)}`;
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

const HELP_COLUMNS = 110;

/** Meanings stand beside the lines where they fit, above them otherwise. */
function examplesText({ examples }: CommandDefinition): string {
  const width = Math.max(...examples.map(([line]) => line.length));
  const beside = examples.map(([line, meaning]) => `  ${line.padEnd(width)}  # ${meaning}`);
  const above = examples.map(([line, meaning]) => `  # ${meaning}\n  ${line}`);
  const fits = beside.every((line) => line.length <= HELP_COLUMNS);
  return `\nExamples:\n${(fits ? beside : above).join("\n")}`;
}

const ROOT_HELP = `
Start here:
  rrctl init       # write .rr.yaml and a worker for the project in this directory
  rrctl serve      # serve it
  rrctl workers    # in another terminal: what the workers do

\`rrctl <command> --help\` has examples. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 4 no such pool or
worker, 5 not allowed, 6 not available now (core unreachable, draining, paused, queue full).`;
