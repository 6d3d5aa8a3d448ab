import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { COMMANDS } from "../../../cli/definitions.ts";
import { buildParser, resolveGlobals, runProgram } from "../../../cli/program.ts";
import { memoryTerminal } from "./memory-terminal.ts";

interface Parsed {
  path: string;
  words: string[];
  own: Record<string, unknown>;
  given: Record<string, unknown>;
}

async function parsed(...argv: string[]): Promise<Parsed> {
  let result: Parsed | undefined;
  const parser = buildParser(
    { version: "1.2.3", terminal: memoryTerminal() },
    async (definition, words, own, given) => {
      result = { path: definition.path, words, own, given };
    },
  );
  await parser.parseAsync(argv, { from: "user" });
  return result!;
}

async function ran(...argv: string[]): Promise<{ exitCode: number; out: string; err: string }> {
  const terminal = memoryTerminal();
  const exitCode = await runProgram(argv, {
    version: "1.2.3",
    cwd: "/app",
    env: {},
    terminal,
    interruption: () => new AbortController().signal,
  });
  return { exitCode, out: terminal.out, err: terminal.err };
}

const globalsOf = ({ own, given }: Parsed) => resolveGlobals(own, given, "/app");

describe("cli program", () => {
  it("takes global options before and after the command, and those after it stand above", async () => {
    const line = await parsed("-c", "one.yaml", "--address", "a:1", "pools", "-c", "two.yaml");
    expect(globalsOf(line)).to.include({
      configFile: "two.yaml",
      configFileGiven: true,
      address: "a:1",
      workingDirectory: undefined,
    });
  });

  it("reads -o as the format, or as an override when it has a =", async () => {
    const line = await parsed("-o", "http.address=:1", "workers", "-o", "json", "-o", "a.b=c=d", "--override", "x.y=1");
    expect(globalsOf(line)).to.include({ format: "json" });
    expect(globalsOf(line).overrides.sort()).to.deep.equal(["a.b=c=d", "http.address=:1", "x.y=1"]);
  });

  it("gives --output the last word on the format", async () => {
    expect(globalsOf(await parsed("workers", "-o", "json", "--output", "yaml"))).to.include({ format: "yaml" });
    expect(globalsOf(await parsed("workers"))).to.include({ format: "table" });
  });

  it("refuses other formats", async () => {
    const { exitCode, err } = await ran("pools", "-o", "xml");
    expect(exitCode).to.equal(2);
    expect(err).to.contain('-o "xml": expected table, json or yaml');
    expect((await ran("pools", "--output", "a=b")).exitCode).to.equal(2);
  });

  it("keeps -w for watching where that is what it means", async () => {
    const watching = await parsed("-w", "/srv", "workers", "http", "-w");
    expect(watching.own).to.include({ watch: true });
    expect(watching.words).to.deep.equal(["http"]);
    expect(globalsOf(watching).workingDirectory).to.equal("/srv");
    expect(globalsOf(await parsed("serve", "-w", "sub")).workingDirectory).to.equal("/app/sub");
  });

  it("looks for .rr.yaml where it was started, else where -w says", async () => {
    const directory = await mkdtemp(join(tmpdir(), "rrctl-globals-"));
    try {
      const { own, given } = await parsed("serve", "-w", "sub");
      expect(resolveGlobals(own, given, directory)).to.include({ configFile: "sub/.rr.yaml", configFileGiven: false });
      await writeFile(join(directory, ".rr.yaml"), "");
      expect(resolveGlobals(own, given, directory)).to.include({ configFile: ".rr.yaml" });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("takes what RoadRunner's scripts put before serve", async () => {
    const line = await parsed("-s", "-d", "-c", "/etc/rr.yaml", "serve", "-p");
    expect({ ...line.given, ...line.own }).to.include({ silent: true, debug: true, pid: true, config: "/etc/rr.yaml" });
  });

  it("takes RoadRunner's options with every command", async () => {
    for (const command of ["serve", "reset", "workers", "stop", "pools", "scale"])
      for (const option of ["-s", "--silent", "-d", "-e"])
        expect((await parsed(command, option)).path).to.equal(command);
    expect(globalsOf(await parsed("serve", "--WorkDir", "sub")).workingDirectory).to.equal("/app/sub");
    expect(globalsOf(await parsed("-o=a.b=c", "reset", "-o=d.e=f")).overrides).to.deep.equal(["a.b=c", "d.e=f"]);
    expect((await parsed("events", "-f")).own).to.include({ follow: true });
    expect((await parsed("workers", "-f")).own).to.include({ force: true });
  });

  it("hands over arguments and options as they were typed", async () => {
    const reset = await parsed("reset", "http", "jobs");
    expect(reset.words).to.deep.equal(["http", "jobs"]);
    const dispatch = await parsed("dispatch", "echo", "--body", "hi", "--body-file", "-", "--codec", "json");
    expect(dispatch.own).to.include({ body: "hi", bodyFile: "-", codec: "json" });
    const events = await parsed("events", "-f", "--pool", "a", "--pool", "b", "--type", "worker.*");
    expect(events.own).to.deep.include({ follow: true, pool: ["a", "b"], type: ["worker.*"] });
    expect((await parsed("stop", "--no-wait")).own).to.include({ wait: false });
    expect((await parsed("worker", "kill", "7")).path).to.equal("worker kill");
  });

  const wrong: [string[], RegExp][] = [
    [["bogus"], /unknown command 'bogus'/],
    [["workres"], /Did you mean workers/],
    [["workers", "--bogus"], /unknown option '--bogus'[\s\S]*hint: `rrctl workers --help`/],
    [["worker", "kill"], /missing required argument 'pids'/],
    [["scale", "http", "8", "9"], /too many arguments/],
    [["scale", "http", "jobs"], /how many workers\?/],
    [["scale", "http", "8", "--workers", "9"], /how many workers\? Say it once/],
    [["dispatch", "--codec", "x"], /Allowed choices are raw, json, proto/],
    [["scale", "--workers", "many"], /--workers "many": expected a whole number/],
    [["scale", "http"], /how many workers\? Say it once, for example `rrctl scale http 8`/],
    [["worker", "kill", "abc"], /pid "abc": expected a whole number/],
    [["dispatch", "http"], /nothing to dispatch/],
    [["workers", "--timeout", "x"], /--timeout "x": expected a duration/],
    [["completion", "tcsh"], /shell "tcsh": expected bash, zsh, fish, powershell/],
    [["config"], /Usage: rrctl config/],
    [["pools", "--address", "nonsense"], /address "nonsense": expected tcp:/],
  ];
  for (const [argv, message] of wrong)
    it(`ends \`rrctl ${argv.join(" ")}\` with exit code 2 and says why`, async () => {
      const { exitCode, out, err } = await ran(...argv);
      expect(err).to.match(message);
      expect(exitCode).to.equal(2);
      expect(out).to.equal("");
    });

  it("tells errors as JSON to who asked for JSON", async () => {
    const { err } = await ran("scale", "-o", "json");
    expect(JSON.parse(err).error).to.include({ reason: "INVALID_REQUEST", exit_code: 2 });
  });

  it("prints help and version to stdout with exit code 0", async () => {
    for (const argv of [[], ["--help"], ["help", "scale"], ["worker", "kill", "-h"]]) {
      const { exitCode, out, err } = await ran(...argv);
      expect([exitCode, err], argv.join(" ")).to.deep.equal([0, ""]);
      expect(out).to.match(/^Usage: rrctl/);
    }
    expect(await ran("--version")).to.deep.equal({ exitCode: 0, out: "1.2.3\n", err: "" });
  });

  it("has help with examples for each command, and examples that parse", async () => {
    for (const definition of COMMANDS) {
      const { out } = await ran(...definition.path.split(" "), "--help");
      expect(out, definition.path).to.contain("Examples:\n").and.contain(definition.examples[0]![0]);
      for (const [line] of definition.examples)
        expect((await parsed(...exampleWords(line))).path).to.equal(definition.path);
    }
  });

  it("loads neither gRPC nor a command to print help", () => {
    const loaded = staticImports(fileURLToPath(new URL("../../../cli/main.ts", import.meta.url)));
    expect(
      [...loaded].filter((file) => /nice-grpc|@grpc|@bufbuild|\byaml\b|\/gen\/|\/client\/|\/commands\//.test(file)),
    ).to.deep.equal([]);
    expect(loaded).to.include("commander");
  });
});

/** The arguments of an example, without what the shell does with them. */
function exampleWords(line: string): string[] {
  const command = /rrctl ([^|<>)]*)/.exec(line)![1]!.trim();
  return (command.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'|'$/g, ""));
}

/** What a file loads before anything runs: its imports of values, followed through this project. */
function staticImports(file: string, found = new Set<string>()): Set<string> {
  for (const match of readFileSync(file, "utf8").matchAll(/^(?:import|export) (?!type )[^;]*?from "([^"]+)";/gm)) {
    const specifier = match[1]!;
    const path = specifier.startsWith(".") ? fileURLToPath(new URL(specifier, `file://${file}`)) : specifier;
    if (found.has(path)) continue;
    found.add(path);
    if (specifier.startsWith(".")) staticImports(path, found);
  }
  return found;
}
