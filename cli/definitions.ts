import type { Command } from "./invocation.ts";

/**
 * All commands as data: the parser, the help, the completion and the reference page are made of this table. Nothing
 * here loads a command before it runs.
 */
export interface CommandDefinition {
  /** As typed: "workers", "worker add". */
  path: string;
  group: "Server" | "Pools and workers" | "Watching" | "Set-up";
  summary: string;
  /** Further sentences for the command's own help. */
  description?: string;
  arguments?: ArgumentDefinition[];
  options?: OptionDefinition[];
  examples: [line: string, meaning: string][];
  /** What it takes besides its own options. */
  uses: "core" | "configuration" | "directory" | "nothing";
  /** Longest wait for one answer of the core, unless --timeout says otherwise. */
  timeoutMs?: number;
  load(): Promise<Command<never>>;
}

export interface ArgumentDefinition {
  name: string;
  description: string;
  required?: boolean;
  variadic?: boolean;
  /** What completion offers. */
  values?: ValueSource;
}

export interface OptionDefinition {
  flags: string;
  description: string;
  choices?: readonly string[];
  default?: string;
  repeatable?: boolean;
  values?: ValueSource;
  hidden?: boolean;
}

/** "pools" and "workers" are asked from the core; "files" is left to the shell. */
export type ValueSource = "pools" | "workers" | "files" | "directories" | readonly string[];

const READ_TIMEOUT_MS = 10_000;
/** For what waits for workers: boots and running calls. */
const ACT_TIMEOUT_MS = 300_000;

const POOL: ArgumentDefinition = {
  name: "pool",
  description: "name of the pool; may be left out if there is only one",
  values: "pools",
};
const PIDS: ArgumentDefinition = {
  name: "pids",
  description: "process ids of workers",
  required: true,
  variadic: true,
  values: "workers",
};
const WATCH: OptionDefinition = { flags: "-w, --watch", description: "show it again and again until Ctrl-C" };
const INTERVAL: OptionDefinition = {
  flags: "--interval <duration>",
  description: "time between two looks (default: 1s)",
};

/** What is shown to a core that asks who calls. */
const CREDENTIALS: readonly OptionDefinition[] = [
  {
    flags: "--token-file <file>",
    description: "file with the token to show to the core (or RRCTL_TOKEN_FILE)",
    values: "files",
  },
  {
    flags: "--tls-ca <file>",
    description: "encrypt: the core's certificate, or that of who signed it, PEM (or RRCTL_TLS_CA)",
    values: "files",
  },
  {
    flags: "--tls-cert <file>",
    description: "encrypt, and show this certificate to the core, PEM (or RRCTL_TLS_CERT)",
    values: "files",
  },
  { flags: "--tls-key <file>", description: "the key of that certificate, PEM (or RRCTL_TLS_KEY)", values: "files" },
];

/** Options of `serve` and `stop` that RoadRunner's scripts also put in front of the command. */
export const LEADING_OPTIONS: readonly OptionDefinition[] = [
  { flags: "-s, --silent", description: "no banner" },
  { flags: "-p, --pid", description: "write the process id to .pid in the working directory" },
  { flags: "-d, --debug", description: "accepted from RoadRunner's command line", hidden: true },
  { flags: "-e, --enable-experimental", description: "accepted from RoadRunner's command line", hidden: true },
];

/**
 * RoadRunner's command line takes its options with every command, and its scripts do: `rr reset -s`. Where they mean
 * nothing here they are taken all the same. A short form that a command has a use for stays that command's.
 */
export const ACCEPTED_OPTIONS: readonly OptionDefinition[] = [
  ...LEADING_OPTIONS,
  { flags: "-f, --force", description: "accepted from RoadRunner's command line" },
  { flags: "--WorkDir <directory>", description: "the same as --workdir, as RoadRunner spells it" },
];

export const COMMANDS: readonly CommandDefinition[] = [
  {
    path: "serve",
    group: "Server",
    summary: "start the server: the core, its workers and the HTTP frontends",
    description:
      "Reads .rr.yaml of the working directory, or the file given by -c. Runs until it is stopped by `rrctl stop`, " +
      "SIGINT or SIGTERM: running requests finish first, a second signal ends it at once.",
    options: [
      ...LEADING_OPTIONS,
      { flags: "--no-frontends", description: "the core alone: HTTP is served by `rrctl frontend` elsewhere" },
    ],
    examples: [
      ["rrctl serve", "with .rr.yaml of this directory"],
      ["rrctl serve -c /app/.rr.yaml", "with another file; relative paths start from its directory"],
      ["rrctl serve -o http.address=127.0.0.1:9000 -o http.pool.num_workers=8", "with other values than in the file"],
      ["rrctl serve --dotenv .env.local", "with variables from a file"],
    ],
    uses: "configuration",
    load: async () => (await import("./commands/serve.ts")).run,
  },
  {
    path: "frontend",
    group: "Server",
    summary: "serve HTTP with the pools of cores that run elsewhere",
    description:
      "Takes http, fileserver, status and logs from the same configuration as the cores, and starts no workers. Requests " +
      "go to the core that has the least to do and whose pool is healthy; what a core turns away, or cannot have begun " +
      "when it went away, goes to another one.",
    options: [
      {
        flags: "--core <addresses>",
        description:
          "cores: host:port or unix:///path, separated by commas; may be repeated (default: the server of .rr.yaml)",
        repeatable: true,
      },
      ...CREDENTIALS,
      { flags: "-s, --silent", description: "no banner" },
    ],
    examples: [
      ["rrctl frontend --core 10.0.0.5:6002,10.0.0.6:6002", "two cores, each started by `rrctl serve --no-frontends`"],
      ["rrctl frontend --core unix:///run/rr/core.sock", "a core of this machine, as another user"],
    ],
    uses: "configuration",
    load: async () => (await import("./commands/frontend.ts")).run as Command<never>,
  },
  {
    path: "wait",
    group: "Server",
    summary: "wait until the server is ready",
    description:
      "Ready means that it takes calls, as the check /ready and gRPC's health service say. A server that is not there yet " +
      "is waited for, too.",
    arguments: [{ ...POOL, variadic: true, description: "names of pools (default: the server with all of them)" }],
    options: [
      {
        flags: "--for <state>",
        description: "started: it has come to the end of its start; ready: it takes calls (default: ready)",
        choices: ["started", "ready"],
        values: ["started", "ready"],
      },
      { flags: "--timeout <duration>", description: "longest wait (default: 60s)" },
    ],
    examples: [
      ["rrctl wait", "in a script, after `rrctl serve &`"],
      ["rrctl wait http --timeout 10s", "for one pool"],
      ["rrctl wait --for started", "whether or not it is drained or a pool is paused"],
    ],
    uses: "core",
    timeoutMs: 86_400_000,
    load: async () => (await import("./commands/wait.ts")).run as Command<never>,
  },
  {
    path: "drain",
    group: "Server",
    summary: "let the server finish what runs and take nothing new",
    description:
      "The server stays up, /ready fails, and requests get 503 until `rrctl undrain`. Waits until no call runs, or for " +
      "--timeout. Pools can be reset and scaled meanwhile.",
    options: [
      {
        flags: "--timeout <duration>",
        description: "longest wait for running requests (default: endure.grace_period)",
      },
    ],
    examples: [
      ["rrctl drain", "as before a deployment that must not run beside old code"],
      ["rrctl drain --timeout 5s", "running requests go on after that, and nothing new is taken"],
    ],
    uses: "core",
    timeoutMs: 86_400_000,
    load: async () => (await import("./commands/drain.ts")).drain as Command<never>,
  },
  {
    path: "undrain",
    group: "Server",
    summary: "let a drained server take calls again",
    examples: [["rrctl undrain", "end a drain"]],
    uses: "core",
    timeoutMs: READ_TIMEOUT_MS,
    load: async () => (await import("./commands/drain.ts")).undrain,
  },
  {
    path: "stop",
    group: "Server",
    summary: "stop the server after its running requests",
    description:
      "Takes no new requests, lets the running ones finish, ends all processes and waits until they are gone.",
    options: [
      {
        flags: "--timeout <duration>",
        description: "longest wait for running requests (default: endure.grace_period)",
      },
      { flags: "-f, --force", description: "do not wait for running requests" },
      { flags: "--no-wait", description: "return as soon as the server has agreed" },
    ],
    examples: [
      ["rrctl stop", "gracefully"],
      ["rrctl stop --timeout 5s", "give running requests five seconds"],
    ],
    uses: "core",
    timeoutMs: 86_400_000,
    load: async () => (await import("./commands/stop.ts")).run,
  },
  {
    path: "info",
    group: "Server",
    summary: "show the server: state, addresses, processes, versions",
    examples: [
      ["rrctl info", "of the server at hand"],
      ["rrctl info --address 10.0.0.5:6002 -o json", "of another one, for a program"],
    ],
    uses: "core",
    timeoutMs: READ_TIMEOUT_MS,
    load: async () => (await import("./commands/info.ts")).run,
  },
  {
    path: "config show",
    group: "Server",
    summary: "show the configuration in effect and where each value comes from",
    description:
      "That of the running server; with --file what the file would give. Secrets are shown as ***, texts with variables " +
      "as they were written.",
    options: [
      { flags: "--file", description: "read the file and its overrides instead of asking the server" },
      { flags: "--all", description: "defaults too" },
      { flags: "--show-secrets", description: "secrets as they are, and values of variables; for admins" },
    ],
    examples: [
      ["rrctl config show", "values that differ from the defaults"],
      ["rrctl config show -o yaml", "everything, as the text of a file"],
      ["rrctl config show --file -o http.pool.num_workers=8", "what the file gives with this override"],
    ],
    uses: "core",
    timeoutMs: READ_TIMEOUT_MS,
    load: async () => (await import("./commands/config.ts")).show as Command<never>,
  },
  {
    path: "config validate",
    group: "Server",
    summary: "check a configuration file without starting anything",
    description: "Lists all problems with file, line and column. Exit code 0: it is right; 2: it is not.",
    arguments: [{ name: "file", description: "the file (default: .rr.yaml)", values: "files" }],
    examples: [
      ["rrctl config validate", ".rr.yaml of this directory"],
      ["rrctl config validate /app/.rr.yaml -o http.address=:8080", "another file, with an override"],
    ],
    uses: "configuration",
    load: async () => (await import("./commands/config.ts")).validate as Command<never>,
  },
  {
    path: "token create",
    group: "Server",
    summary: "make a token for callers of the control API over TCP",
    description:
      "Prints the token, once, and appends a line with its name, its role and its hash to the file of control.tokens. A " +
      "running server reads the file again. Taking the line out makes the token worthless.",
    options: [
      { flags: "--name <name>", description: "whose it is; logs and events show it" },
      {
        flags: "--role <role>",
        description: "what it may do",
        choices: ["viewer", "operator", "admin", "frontend"],
      },
      { flags: "--file <path>", description: "the file (default: control.tokens of .rr.yaml)", values: "files" },
    ],
    examples: [
      ["rrctl token create --name deployment --role operator --file control.tokens", "for what resets pools"],
      ["rrctl token create --name alice --role viewer > alice.token", "where control.tokens is configured"],
    ],
    uses: "configuration",
    load: async () => (await import("./commands/token.ts")).create as Command<never>,
  },
  {
    path: "pools",
    group: "Pools and workers",
    summary: "list the pools",
    options: [WATCH],
    examples: [
      ["rrctl pools", "state, workers, queue and counters of each"],
      ["rrctl pools -o json | jq '.pools[].queue_length'", "one figure, for a program"],
    ],
    uses: "core",
    timeoutMs: READ_TIMEOUT_MS,
    load: async () => (await import("./commands/pools.ts")).run,
  },
  {
    path: "workers",
    group: "Pools and workers",
    summary: "list the workers and what they run",
    arguments: [{ ...POOL, description: "name of a pool (default: all pools)" }],
    options: [
      WATCH,
      INTERVAL,
      { flags: "-i, --interactive", description: "the same as --watch, as RoadRunner calls it", hidden: true },
    ],
    examples: [
      ["rrctl workers", "of all pools"],
      ["rrctl workers http -w", "of one pool, redrawn every second"],
    ],
    uses: "core",
    timeoutMs: READ_TIMEOUT_MS,
    load: async () => (await import("./commands/workers.ts")).run,
  },
  {
    path: "scale",
    group: "Pools and workers",
    summary: "set the number of a pool's workers",
    description:
      "Returns when the number is reached. New workers boot beside the others; surplus ones finish their request.",
    arguments: [POOL, { name: "workers", description: "workers wanted: 8, or +2 for two more" }],
    options: [{ flags: "--workers <number>", description: "the same" }],
    examples: [
      ["rrctl scale http 8", "eight workers for the pool http"],
      ["rrctl scale 8", "the same if it is the only pool"],
      ["rrctl scale http +2", "two more than now"],
    ],
    uses: "core",
    timeoutMs: ACT_TIMEOUT_MS,
    load: async () => (await import("./commands/scale.ts")).run,
  },
  {
    path: "reset",
    group: "Pools and workers",
    summary: "replace all workers of pools by new ones, without losing a request",
    description:
      "New workers boot beside the old, then take over. If they cannot boot, the old ones go on serving and the " +
      "reason is reported. Run it after a deployment.",
    arguments: [{ name: "pools", description: "names of pools (default: all)", variadic: true, values: "pools" }],
    examples: [
      ["rrctl reset", "all pools"],
      ["rrctl reset http jobs", "two of them"],
    ],
    uses: "core",
    timeoutMs: ACT_TIMEOUT_MS,
    load: async () => (await import("./commands/reset.ts")).run,
  },
  {
    path: "pause",
    group: "Pools and workers",
    summary: "let a pool refuse new calls until it is resumed",
    arguments: [POOL],
    examples: [["rrctl pause http", "requests get 503 until `rrctl resume http`"]],
    uses: "core",
    timeoutMs: ACT_TIMEOUT_MS,
    load: async () => (await import("./commands/pause.ts")).pause,
  },
  {
    path: "resume",
    group: "Pools and workers",
    summary: "let a paused pool take calls again",
    arguments: [POOL],
    examples: [["rrctl resume http", "end a pause"]],
    uses: "core",
    timeoutMs: ACT_TIMEOUT_MS,
    load: async () => (await import("./commands/pause.ts")).resume,
  },
  {
    path: "worker add",
    group: "Pools and workers",
    summary: "start one more worker",
    arguments: [POOL],
    examples: [["rrctl worker add http", "the same as scaling up by one"]],
    uses: "core",
    timeoutMs: ACT_TIMEOUT_MS,
    load: async () => (await import("./commands/worker.ts")).add,
  },
  {
    path: "worker remove",
    group: "Pools and workers",
    summary: "take one worker away after its request",
    arguments: [{ name: "pool|pid", description: "a pool (idle workers first) or one worker", values: "pools" }],
    examples: [
      ["rrctl worker remove http", "any worker of the pool, an idle one if there is one"],
      ["rrctl worker remove 4711", "this one"],
    ],
    uses: "core",
    timeoutMs: ACT_TIMEOUT_MS,
    load: async () => (await import("./commands/worker.ts")).remove,
  },
  {
    path: "worker restart",
    group: "Pools and workers",
    summary: "replace workers by new ones after their requests",
    arguments: [PIDS],
    examples: [["rrctl worker restart 4711", "the pid is in `rrctl workers`"]],
    uses: "core",
    timeoutMs: ACT_TIMEOUT_MS,
    load: async () => (await import("./commands/worker.ts")).restart,
  },
  {
    path: "worker kill",
    group: "Pools and workers",
    summary: "end workers at once, with their requests; the pool replaces them",
    arguments: [PIDS],
    examples: [["rrctl worker kill 4711", "for a worker that hangs"]],
    uses: "core",
    timeoutMs: ACT_TIMEOUT_MS,
    load: async () => (await import("./commands/worker.ts")).kill,
  },
  {
    path: "dispatch",
    group: "Pools and workers",
    summary: "run one payload on a pool and print the reply's body",
    arguments: [POOL],
    options: [
      { flags: "--body <text>", description: "the payload's body" },
      { flags: "--body-file <path>", description: "the body from a file; - for standard input", values: "files" },
      { flags: "--context <text>", description: "the payload's context: for HTTP the head of the request" },
      { flags: "--context-file <path>", description: "the context from a file; - for standard input", values: "files" },
      {
        flags: "--codec <name>",
        description: "how the context is encoded",
        choices: ["raw", "json", "proto", "msgpack", "gob"],
        default: "raw",
      },
      { flags: "--idempotent", description: "it may run again on another worker if the first one dies" },
      { flags: "--request-id <id>", description: "id of the call in logs and events" },
      {
        flags: "-v, --verbose",
        description: "tell on stderr which worker answered, how long it took, and the context",
      },
    ],
    examples: [
      ["rrctl dispatch echo --body hello", "the reply's body goes to stdout as it is"],
      ["rrctl dispatch echo --body-file - < job.json > reply.json", "bodies of any size and content"],
      ["rrctl dispatch echo --body hello -o json", "the whole reply; bytes are in base64"],
    ],
    uses: "core",
    timeoutMs: ACT_TIMEOUT_MS,
    load: async () => (await import("./commands/dispatch.ts")).run as Command<never>,
  },
  {
    path: "stats",
    group: "Watching",
    summary: "show figures: memory, calls, durations, why calls failed and workers ended",
    options: [WATCH, INTERVAL],
    examples: [
      ["rrctl stats", "now"],
      ["rrctl stats -w --interval 5s -o json", "a line of JSON every five seconds"],
    ],
    uses: "core",
    timeoutMs: READ_TIMEOUT_MS,
    load: async () => (await import("./commands/stats.ts")).run,
  },
  {
    path: "events",
    group: "Watching",
    summary: "show what happened: workers started and ended, resets, failures",
    options: [
      { flags: "-f, --follow", description: "go on with what happens from now, until Ctrl-C" },
      { flags: "--pool <name>", description: "only of this pool; may be repeated", repeatable: true, values: "pools" },
      {
        flags: "--type <type>",
        description: "only of this type, a trailing * stands for anything; may be repeated",
        repeatable: true,
        values: ["worker.*", "pool.*", "server.*", "frontend.*"],
      },
      { flags: "--severity <least>", description: "only as severe as this", choices: ["info", "warning", "error"] },
      { flags: "--since <when>", description: "only after this time, or this long ago: 5m, 2026-03-01T12:00:00Z" },
      { flags: "--after <revision>", description: "only after the event of this number" },
      { flags: "--limit <number>", description: "only the newest so many" },
    ],
    examples: [
      ["rrctl events --since 10m --severity warning", "what went wrong lately"],
      ["rrctl events -f --type 'worker.*' --pool http", "workers of one pool as they come and go"],
      ["rrctl events -f -o json", "one JSON object a line, for a program"],
    ],
    uses: "core",
    timeoutMs: READ_TIMEOUT_MS,
    load: async () => (await import("./commands/events.ts")).run,
  },
  {
    path: "init",
    group: "Set-up",
    summary: "write a commented .rr.yaml, and a worker if the project has none",
    description:
      "Looks at composer.json and vendor/ and chooses: the bridge of Laravel, Symfony or Spiral, a PSR-7 worker where " +
      "the packages for it are installed, otherwise a plain worker. Files that are there are left alone.",
    options: [
      { flags: "--force", description: "overwrite files that are there" },
      { flags: "--dry-run", description: "tell what would be written" },
    ],
    examples: [
      ["rrctl init", "then `rrctl serve`"],
      ["rrctl init --dry-run --force -w /app", "what it would write in another directory, whatever is there"],
    ],
    uses: "directory",
    load: async () => (await import("./commands/init.ts")).run,
  },
  {
    path: "completion",
    group: "Set-up",
    summary: "print a script that completes commands, options and pool names by Tab",
    arguments: [
      { name: "shell", description: "which shell", required: true, values: ["bash", "zsh", "fish", "powershell"] },
    ],
    examples: [
      ["source <(rrctl completion bash)", "for this bash; put it into ~/.bashrc for all"],
      ["rrctl completion zsh > ~/.zfunc/_rrctl", "for zsh, with ~/.zfunc in fpath"],
      ["rrctl completion fish > ~/.config/fish/completions/rrctl.fish", "for fish"],
      ["rrctl completion powershell | Out-String | Invoke-Expression", "for PowerShell"],
    ],
    uses: "nothing",
    load: async () => (await import("./commands/completion.ts")).run,
  },
];

/** What a group of commands ("worker", "config") is about. */
export const FAMILIES: Readonly<Record<string, { group: CommandDefinition["group"]; summary: string }>> = {
  worker: { group: "Pools and workers", summary: "add, remove, restart or kill single workers" },
  config: { group: "Server", summary: "show or check the configuration" },
  token: { group: "Server", summary: "make tokens for callers of the control API" },
};

/** Options of all commands that use the configuration or the core; before the command or after it. */
export const GLOBAL_OPTIONS: readonly (OptionDefinition & { for: readonly CommandDefinition["uses"][] })[] = [
  {
    flags: "-c, --config <file>",
    description: "configuration file (default: .rr.yaml)",
    values: "files",
    for: ["core", "configuration"],
  },
  {
    flags: "-w, --workdir <directory>",
    description: "directory to work in",
    values: "directories",
    for: ["core", "configuration", "directory"],
  },
  {
    flags: "--dotenv <file>",
    description: "file with environment variables for the configuration (or DOTENV_PATH)",
    values: "files",
    for: ["core", "configuration"],
  },
  {
    flags: "--override <key=value>",
    description: "a value of the configuration instead of the file's; may be repeated",
    repeatable: true,
    for: ["core", "configuration"],
  },
  {
    flags: "--address <address>",
    description: "the core: tcp://host:port or unix:///path (or RRCTL_ADDRESS; default: the server of .rr.yaml)",
    for: ["core"],
  },
  ...CREDENTIALS.map((option) => ({ ...option, for: ["core"] as const })),
  {
    flags: "--output <format>",
    description: "how data is printed; table if not given",
    choices: ["table", "json", "yaml"],
    for: ["core", "configuration", "directory"],
  },
  {
    flags: "-o <format|key=value>",
    description: "short for --output; with a = in it, for --override",
    repeatable: true,
    for: ["core", "configuration", "directory"],
  },
];

export const TIMEOUT_OPTION: OptionDefinition = {
  flags: "--timeout <duration>",
  description: "longest wait for the core's answer",
};
