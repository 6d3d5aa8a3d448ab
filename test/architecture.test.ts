import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { expect } from "chai";
import { ROOT } from "./support/php.ts";

/**
 * Who may import whom. A module may import its own area and the areas of its row; everything else is a wrong way. The
 * areas are folders of src, or single files of it.
 */
const BASE = ["errors", "clock", "log", "async", "net"];
const CORE_PARTS = ["config", "goridge", "events", "stats", "process", "relay", "worker", "pool", "dispatch", "spool"];
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  clock: [],
  async: ["clock"],
  log: ["errors", "clock", "async"],
  version: [],
  "id-map": [],
  net: ["errors", "clock", "log", "async"],
  grpc: ["gen", "errors"],
  access: BASE,
  presence: BASE,
  config: ["gen", "grpc", "version", "access", ...BASE],
  goridge: BASE,
  events: BASE,
  stats: BASE,
  process: ["config", ...BASE],
  spool: ["process", ...BASE],
  relay: ["config", "goridge", ...BASE],
  worker: ["config", "goridge", "process", "relay", ...BASE],
  pool: ["config", "goridge", "process", "relay", "worker", "events", "stats", ...BASE],
  dispatch: ["config", "goridge", "worker", "pool", "events", ...BASE],
  health: [],
  api: ["health", "gen", "grpc", "version", "id-map", "access", ...CORE_PARTS, ...BASE],
  acme: ["config", "version", "events", ...BASE],
  reload: ["config", "pool", "events", ...BASE],
  // The door for PHP opens onto the same functions as the gRPC services.
  rpc: ["health", "api", "gen", "grpc", "version", ...CORE_PARTS, ...BASE],
  frontends: ["acme", "config", "events", "process", ...BASE],
  client: ["gen", "grpc", "id-map", ...BASE],
  // The frontend process. It is told what to do in the supervisor's message, whose type it needs.
  http: ["life", "gen", "grpc", "client", "config", "frontends", "spool", ...BASE],
  life: [...BASE],
  "control-addresses": ["access", "presence", "api", "config", ...BASE],
  core: [
    ...["control-addresses", "access", "health", "api", "rpc", "reload", "frontends", "version"],
    ...CORE_PARTS,
    ...BASE,
  ],
  "frontend-host": ["config", "events", "frontends", ...BASE],
  main: ["life", "core", "frontend-host", "frontends", "config", "process", "version", ...BASE],
  // `rrctl serve` is the server itself.
  cli: ["life", "gen", "grpc", "client", "config", "access", "presence", "main", "process", "version", ...BASE],
};

/** Modules of other areas that an area may take only this much of: names, not the whole folder. */
const ONLY: readonly { from: string; area: string; modules: readonly string[]; why: string }[] = [
  {
    from: "http",
    area: "frontends",
    modules: ["src/frontends/frontend-messages.ts"],
    why: "types of the messages between the core and a frontend",
  },
  {
    from: "cli",
    area: "life",
    modules: ["src/life/no-debugger.ts", "src/life/first-parent.ts"],
    why: "what must hold, or be known, from the first moment",
  },
  { from: "cli", area: "main", modules: ["src/main.ts"], why: "serve" },
  {
    from: "cli",
    area: "process",
    modules: ["src/process/start-warnings.ts", "src/process/birth.ts"],
    why: "why the server cannot be loaded; whether the process that a file names is still there",
  },
];

interface Import {
  readonly from: string;
  /** Path of a module of ours, or the name of a package. */
  readonly to: string;
  readonly typeOnly: boolean;
  /** `import()`: loaded when it is needed. */
  readonly lazy: boolean;
}

const IMPORT =
  /^(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)/gm;

function modulesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => join(folder, path).split(sep).join("/"));
}

const sources = new Map(
  [...modulesIn("src"), ...modulesIn("cli")].map((path) => [path, readFileSync(join(ROOT, path), "utf8")]),
);

function importsOf(from: string): Import[] {
  return [...sources.get(from)!.matchAll(IMPORT)].map(([, type, fixed, dynamic]) => {
    const name = (fixed ?? dynamic)!;
    const to = name.startsWith(".")
      ? relative(ROOT, join(ROOT, dirname(from), name))
          .split(sep)
          .join("/")
      : name;
    return { from, to, typeOnly: type !== undefined, lazy: dynamic !== undefined };
  });
}

const imports = [...sources.keys()].flatMap(importsOf);

/** "pool" for src/pool/pool.ts, "core" for src/core.ts, "cli", "gen"; undefined for packages. */
function areaOf(path: string): string | undefined {
  const match = /^(?:src\/([^/]+?)(?:\.ts)?(?:\/|$)|(cli|gen)\/)/.exec(path);
  return match?.[1] ?? match?.[2];
}

describe("Architecture", () => {
  it("finds the imports it is about", () => {
    expect(sources.size).to.be.greaterThan(80);
    expect(imports.length).to.be.greaterThan(300);
    for (const { from, to } of imports.filter(({ to: path }) => path.startsWith("src/") || path.startsWith("cli/")))
      expect(sources.has(to), `${from} imports ${to}, which is not there`).to.equal(true);
  });

  it("knows every area", () => {
    const areas = new Set([...sources.keys()].map((path) => areaOf(path)!));
    expect([...areas].filter((area) => !(area in MAY_IMPORT))).to.deep.equal([]);
  });

  it("lets areas import only what is above them", () => {
    const wrong = imports.flatMap(({ from, to }) => {
      const [area, other] = [areaOf(from)!, areaOf(to)];
      if (other === undefined || other === area || MAY_IMPORT[area]!.includes(other)) return [];
      return [`${from} must not import ${to}`];
    });
    expect(wrong).to.deep.equal([]);
  });

  it("lets areas import only a part of some others", () => {
    const wrong = imports.flatMap(({ from, to }) => {
      const rule = ONLY.find(({ from: area, area: other }) => areaOf(from) === area && areaOf(to) === other);
      return !rule || rule.modules.includes(to) ? [] : [`${from} must not import ${to} (only ${rule.why})`];
    });
    expect(wrong).to.deep.equal([]);
  });

  it("has no circles", () => {
    // Types vanish, and what is loaded later finds the others ready; what is left must have an order.
    const next = new Map<string, string[]>();
    for (const { from, to, typeOnly, lazy } of imports)
      if (!typeOnly && !lazy && sources.has(to)) next.set(from, [...(next.get(from) ?? []), to]);
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (module: string, path: readonly string[]) => {
      if (path.includes(module)) return void circles.push([...path.slice(path.indexOf(module)), module].join(" → "));
      if (done.has(module)) return;
      for (const other of next.get(module) ?? []) visit(other, [...path, module]);
      done.add(module);
    };
    for (const module of sources.keys()) visit(module, []);
    expect(circles).to.deep.equal([]);
  });

  /** Text that only the named modules may hold. */
  const KEPT_TOGETHER: readonly { what: string; pattern: RegExp; allowed: readonly RegExp[] }[] = [
    {
      what: "only main files read the environment",
      pattern: /process\.env\b/,
      allowed: [/(^|\/)main\.ts$/],
    },
    { what: "only main files end the process", pattern: /process\.exit(Code)?\b/, allowed: [/(^|\/)main\.ts$/] },
    {
      what: "only src/process starts processes",
      pattern: /node:child_process/,
      allowed: [/^src\/process\/(child-process|pipes)\.ts$/],
    },
    { what: "nobody writes to the console", pattern: /\bconsole\./, allowed: [] },
    {
      what: "the pool and what it is made of never name HTTP",
      // The name of a package that users are told to install may hold it.
      pattern: /(?<!roadrunner-)\bhttp\b/i,
      allowed: [/^(?!src\/(pool|worker|relay|goridge|dispatch)\/)/],
    },
    {
      what: "only the gRPC folders know its libraries",
      pattern: /from "(@grpc\/grpc-js|nice-grpc)/,
      allowed: [/^src\/(grpc|api|client)\//],
    },
  ];
  for (const { what, pattern, allowed } of KEPT_TOGETHER)
    it(what, () => {
      const wrong = [...sources].flatMap(([path, text]) =>
        allowed.some((one) => one.test(path))
          ? []
          : withoutComments(text)
              .split("\n")
              .flatMap((line) => (pattern.test(line) ? [`${path}: ${line.trim()}`] : [])),
      );
      expect(wrong).to.deep.equal([]);
    });

  it("has a reason for every dependency, and no dependency without one", () => {
    const text = readFileSync(join(ROOT, "src/README.md"), "utf8").split("## Dependencies")[1]!;
    const named = [...text.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) =>
      [...cell!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!),
    );
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    expect(named).to.have.members(Object.keys({ ...dependencies, ...devDependencies }));
  });

  it("keeps generated code to those who speak the contract", () => {
    const speakers = new Set(imports.filter(({ to }) => areaOf(to) === "gen").map(({ from }) => areaOf(from)!));
    expect([...speakers].filter((area) => !MAY_IMPORT[area]!.includes("gen"))).to.deep.equal([]);
    expect(speakers.has("pool")).to.equal(false);
    expect(speakers.has("worker")).to.equal(false);
  });
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}
