// npm run gen: writes the pages of docs/ that restate tables of the program, so that they cannot drift from it.
//
//   node --import tsx scripts/generate-docs.mjs           writes what has changed
//   node --import tsx scripts/generate-docs.mjs --check   writes nothing; exits 1 if anything would change
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS, GLOBAL_OPTIONS, TIMEOUT_OPTION } from "../cli/definitions.ts";
import { ERROR_TABLE } from "../src/errors.ts";
import { EVENT_TYPES } from "../src/events/event-log.ts";
import { configurationPage, configurationSchema } from "./configuration-docs.mjs";
import { ROOT } from "./setup.mjs";

/** What each page is made of. */
const PAGES = {
  "docs/configuration.md": () => configurationPage({ page, table, code }),
  "docs/errors.md": errorsPage,
  "docs/events.md": eventsPage,
  "docs/rrctl.md": commandsPage,
  "docs/schema.json": configurationSchema,
};

function main() {
  const check = process.argv.includes("--check");
  const outdated = Object.entries(PAGES).flatMap(([path, render]) => {
    const text = render();
    const file = join(ROOT, path);
    if (existsSync(file) && readFileSync(file, "utf8") === text) return [];
    if (!check) writeFileSync(file, text);
    return [path];
  });
  for (const path of outdated) process.stdout.write(check ? `${path} is not what its source says\n` : `${path}\n`);
  if (check && outdated.length > 0) {
    process.stdout.write("Run: npm run gen\n");
    process.exitCode = 1;
  }
}

/** @param source where the page comes from, for who wants to change it */
function page(title, source, ...parts) {
  return `${[`# ${title}`, `<!-- Generated from ${source} by \`npm run gen\`: change it there. -->`, ...parts].join("\n\n")}\n`;
}

function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const code = (text) => `\`${text}\``;

function errorsPage() {
  const meanings = reasonComments();
  const rows = Object.entries(ERROR_TABLE).map(([reason, { grpc, http, exit }]) => [
    code(reason),
    meanings.get(reason) ?? "",
    code(grpc),
    // Of a client that left there is nobody to answer.
    http === 499 ? "–" : http,
    exit,
  ]);
  return page(
    "Errors",
    "src/errors.ts and proto/roadrunner/errors/v1/error_detail.proto",
    "Every failure has a reason: one word that does not change, for programs. The text beside it is for people and may\n" +
      "change at any time.",
    table(["Reason", "Meaning", "gRPC status", "HTTP status", "Exit code of rrctl"], rows),
    "By gRPC an error carries `google.rpc.Status` in the trailer `grpc-status-details-bin`, with `google.rpc.ErrorInfo`\n" +
      '(`reason` as above, `domain` "roadrunner", `metadata` with the values of the message such as `pool`, `pid`,\n' +
      "`exit_code`, `signal`), `google.rpc.BadRequest` for fields that break a rule, and `google.rpc.RetryInfo` where trying\n" +
      "again later makes sense. On a dispatch stream a failed call ends with `roadrunner.errors.v1.ErrorDetail`; the stream\n" +
      "itself goes on.",
    "HTTP responses with 503 carry `Retry-After`. The status of `WORKER_ERROR` is `http.internal_error_code`. A request that\n" +
      "breaks a rule before a worker is chosen has statuses of its own: 400, 408, 413 or 431.",
    "`rrctl` ends with 0 when all went well, with 130 when Ctrl-C ended something that was waited for, and with 2 for a\n" +
      "command line it does not understand. With `-o json` the error is one JSON object on standard error.",
  );
}

/** Comments of the contract's enum, by reason. */
function reasonComments() {
  const proto = readFileSync(join(ROOT, "proto/roadrunner/errors/v1/error_detail.proto"), "utf8");
  const found = proto.matchAll(/((?: {2}\/\/ .*\n)+) {2}ERROR_REASON_(\w+) = \d+;/g);
  return new Map(
    [...found].map(([, comment, reason]) => [
      reason,
      comment
        .replace(/^ {2}\/\/ /gm, "")
        .trim()
        .replaceAll("\n", " "),
    ]),
  );
}

function eventsPage() {
  const rows = Object.entries(EVENT_TYPES).map(([type, { severity, meaning }]) => [code(type), severity, meaning]);
  return page(
    "Events",
    "src/events/event-log.ts",
    "What happens to the server, its pools and workers, numbered and kept (`control.events_kept`) for those who ask later:\n" +
      "`rrctl events`, or `ListEvents` and `WatchEvents` of `roadrunner.event.v1.EventService`.",
    table(["Type", "Severity", "When"], rows),
  );
}

function commandsPage() {
  const groups = [...new Set(COMMANDS.map(({ group }) => group))];
  const overview = groups.map((group) => {
    const rows = COMMANDS.filter((command) => command.group === group).map(({ path, summary }) => [
      `[${code(`rrctl ${path}`)}](#rrctl-${path.replaceAll(" ", "-")})`,
      summary,
    ]);
    return `**${group}**\n\n${table(["Command", "What it does"], rows)}`;
  });
  return page(
    "rrctl",
    "cli/definitions.ts",
    "`rrctl <command> --help` says the same. Exit codes: [errors](errors.md).",
    ...overview,
    "## Options of all commands",
    optionTable([...GLOBAL_OPTIONS, TIMEOUT_OPTION]),
    DATA_PROMISE,
    ...COMMANDS.map(commandSection),
  );
}

const DATA_PROMISE = `## What \`-o json\` and \`-o yaml\` promise

Names are those of the fields in [proto/](../proto). They are stable: fields are added, none is renamed or taken away, and
none changes its type. A field that is zero or empty is there; only what has no value at all is left out.

| In the contract | Here |
| --- | --- |
| any number | a number |
| a duration | seconds as a number, and \`_seconds\` at the end of the name: \`boot_time_seconds\` |
| bytes of memory and the like | a number; the name says \`_bytes\` |
| a moment | text: \`2026-03-01T12:00:00.000Z\` |
| one of several states | the word that the table shows: \`serving\`, \`ready\`, \`warning\`; new words may come |
| bytes | base64 |

With \`-w\` and \`-f\` JSON comes as one object a line. When the server goes away they wait for it, which standard error
tells, and go on when it is back.`;

function commandSection(command) {
  const parts = [`## rrctl ${command.path}`, sentence(command.summary)];
  if (command.description) parts.push(command.description);
  const words = (command.arguments ?? []).map(({ name, required, variadic }) => {
    const word = variadic ? `${name}...` : name;
    return required ? ` <${word}>` : ` [${word}]`;
  });
  parts.push(`\`\`\`\nrrctl ${command.path}${words.join("")} [options]\n\`\`\``);
  if (command.arguments?.length)
    parts.push(
      table(
        ["Argument", "Meaning"],
        command.arguments.map(({ name, description }) => [code(name), description]),
      ),
    );
  const options = (command.options ?? []).filter(({ hidden }) => !hidden);
  if (options.length > 0) parts.push(optionTable(options));
  const width = Math.max(...command.examples.map(([line]) => line.length));
  const examples = command.examples.map(([line, meaning]) => `${line.padEnd(width)}  # ${meaning}`);
  parts.push(`\`\`\`sh\n${examples.join("\n")}\n\`\`\``);
  return parts.join("\n\n");
}

function optionTable(options) {
  return table(
    ["Option", "Meaning"],
    options.map(({ flags, description, choices, default: value, repeatable }) => {
      const facts = [
        choices ? `one of ${choices.map(code).join(", ")}` : "",
        value ? `default ${code(value)}` : "",
        repeatable && !description.includes("repeated") ? "may be repeated" : "",
      ].filter(Boolean);
      return [code(flags), facts.length > 0 ? `${description} (${facts.join("; ")})` : description];
    }),
  );
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

main();
