import {
  COMMANDS,
  type CommandDefinition,
  FAMILIES,
  GLOBAL_OPTIONS,
  type OptionDefinition,
  TIMEOUT_OPTION,
  type ValueSource,
} from "./definitions.ts";

/** What may stand at the cursor. Without candidates the shell offers files. */
export interface Candidate {
  value: string;
  description: string;
}

/** Values that only the core knows; empty if it cannot be asked. */
export type Lookup = (source: "pools" | "workers") => Promise<Candidate[]>;

/**
 * Completes a command line. `words` are those after the program's name up to the cursor; the last one is the word at
 * the cursor, "" for a new one.
 */
export async function complete(words: readonly string[], lookup: Lookup): Promise<Candidate[]> {
  const typed = joinAssignments(words);
  const current = typed.pop() ?? "";
  const line = readLine(typed);
  const options = optionsOf(line.definition);
  const matching = (candidates: Candidate[], prefix = current) =>
    candidates.filter(({ value }) => value.startsWith(prefix));

  if (line.pending !== undefined) return matching(await valuesOf(line.pending, lookup));
  const assignment = /^(--[^=]+)=(.*)$/s.exec(current);
  if (assignment) {
    const option = findOption(options, assignment[1]!);
    const values = option === undefined ? [] : await valuesOf(option, lookup);
    return matching(values, assignment[2]!);
  }
  if (current.startsWith("-")) return matching(options.flatMap(flagCandidates));
  if (line.definition === undefined) return matching(subcommands(line.path));
  const definitions = line.definition.arguments ?? [];
  const argument = definitions[line.argumentCount] ?? definitions.findLast((definition) => definition.variadic);
  return argument?.values === undefined ? [] : matching(await sourceValues(argument.values, lookup));
}

interface ReadLine {
  /** Words of the command: [], ["worker"], ["worker", "add"]. */
  path: string[];
  definition: CommandDefinition | undefined;
  argumentCount: number;
  /** An option whose value comes next. */
  pending: OptionDefinition | undefined;
}

function readLine(words: readonly string[]): ReadLine {
  const line: ReadLine = { path: [], definition: undefined, argumentCount: 0, pending: undefined };
  for (const word of words) {
    if (line.pending !== undefined) line.pending = undefined;
    else if (word.startsWith("-") && word !== "-") {
      const option = findOption(optionsOf(line.definition), word);
      if (option !== undefined && takesValue(option)) line.pending = option;
    } else if (line.definition !== undefined) line.argumentCount++;
    else {
      line.path.push(word);
      line.definition = COMMANDS.find((command) => command.path === line.path.join(" "));
    }
  }
  return line;
}

/** bash takes words apart at "=": what belongs together is joined again. */
function joinAssignments(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (const word of words) {
    const last = joined.at(-1);
    if (word === "=" && last?.startsWith("--")) joined[joined.length - 1] = `${last}=`;
    else if (last?.startsWith("--") && last.endsWith("=")) joined[joined.length - 1] = last + word;
    else joined.push(word);
  }
  return joined;
}

function optionsOf(definition: CommandDefinition | undefined): OptionDefinition[] {
  if (definition === undefined) return [...GLOBAL_OPTIONS];
  const own = definition.options ?? [];
  const common = GLOBAL_OPTIONS.filter((option) => option.for.includes(definition.uses)).map((option) => {
    const taken = flagsOf(option).filter((flag) => own.some((other) => flagsOf(other).includes(flag)));
    return taken.length === 0 ? option : { ...option, flags: option.flags.replace(/^-\w, /, "") };
  });
  const timeout = definition.uses === "core" && findOption(own, "--timeout") === undefined ? [TIMEOUT_OPTION] : [];
  return [...own.filter((option) => !option.hidden), ...timeout, ...common];
}

function flagsOf(option: OptionDefinition): string[] {
  return option.flags.split(/[ ,]+/).filter((part) => part.startsWith("-"));
}

function takesValue(option: OptionDefinition): boolean {
  return option.flags.includes("<");
}

function findOption(options: readonly OptionDefinition[], flag: string): OptionDefinition | undefined {
  return options.find((option) => flagsOf(option).includes(flag));
}

function flagCandidates(option: OptionDefinition): Candidate[] {
  return flagsOf(option).map((value) => ({ value, description: option.description }));
}

function subcommands(path: readonly string[]): Candidate[] {
  const prefix = path.map((word) => `${word} `).join("");
  const candidates = new Map<string, string>();
  for (const { path: name, summary } of COMMANDS) {
    if (!name.startsWith(prefix)) continue;
    const next = name.slice(prefix.length).split(" ")[0]!;
    candidates.set(next, path.length === 0 ? (FAMILIES[next]?.summary ?? summary) : summary);
  }
  return [...candidates].map(([value, description]) => ({ value, description }));
}

async function valuesOf(option: OptionDefinition, lookup: Lookup): Promise<Candidate[]> {
  if (option.choices !== undefined) return sourceValues(option.choices, lookup);
  if (flagsOf(option).includes("-o")) return sourceValues(["table", "json", "yaml"], lookup);
  return option.values === undefined ? [] : sourceValues(option.values, lookup);
}

async function sourceValues(source: ValueSource, lookup: Lookup): Promise<Candidate[]> {
  if (source === "pools" || source === "workers") return lookup(source);
  if (source === "files" || source === "directories") return [];
  return source.map((value) => ({ value, description: "" }));
}

/** One candidate a line, with its description behind a tab, which the scripts below understand. */
export function renderCandidates(candidates: readonly Candidate[]): string {
  return candidates.map(({ value, description }) => `${value}\t${description}\n`).join("");
}
