import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect } from "chai";
import { checkConfiguration } from "../src/config/load.ts";
import { type Child, ended, Lines, ROOT, spawnRrctl } from "./e2e/cli-server.ts";
import { type Block, blocksOf } from "./support/markdown.ts";
import { needsPhp, skip } from "./support/php.ts";

/**
 * What the documentation shows is true: commands in blocks marked with `<!-- run -->` are run against a real server, in
 * their order; where a block shows output, the real output has the same form; configurations are read by the loader;
 * links lead somewhere.
 */

/** Paths of the pages, from the root. */
const PAGES = [
  "README.md",
  ...["src/README.md", "proto/README.md", "php/README.md", "examples/README.md"],
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const COMMAND_LIMIT_MS = 60_000;

/** Pages with commands to run, and the configuration that they run against. */
const RUNNABLE = [
  { page: "README.md", directory: "php/examples/demo", overrides: [] },
  { page: "docs/uploads.md", directory: "php/examples/demo", overrides: [] },
  { page: "docs/limits.md", directory: "examples/limits", overrides: [] },
  { page: "docs/operations.md", directory: "examples/limits", overrides: [] },
  { page: "docs/middleware.md", directory: "examples/middleware", overrides: ["fileserver.address=127.0.0.1:0"] },
];

for (const { page, directory, overrides } of RUNNABLE)
  describe(page, function () {
    this.timeout(COMMAND_LIMIT_MS);
    let server: Child;
    let prelude: string;

    before(async function () {
      needsPhp(this);
      const all = ["http.address=127.0.0.1:0", "control.listen=tcp://127.0.0.1:0", ...overrides];
      const config = join(ROOT, directory, ".rr.yaml");
      const argv = ["serve", "-w", join(ROOT, directory), "-c", config, ...all.flatMap((one) => ["-o", one])];
      server = spawnRrctl(argv, { cwd: ROOT });
      server.stdout.resume();
      const lines = new Lines(server.stderr);
      const control = /\/\/(\S+)/.exec(await lines.until((line) => /^ {2}control +/.test(line)))![1]!;
      const address = (name: string) =>
        lines.seen.flatMap((line) => new RegExp(`^ {2}${name} +http://(\\S+)`).exec(line)?.[1] ?? [])[0];
      void lines.until(() => false).catch(() => undefined);
      prelude = shellPrelude(control, address("http")!, address("files") ?? "127.0.0.1:8081");
    });

    after(async () => {
      if (!server) return;
      const exit = ended(server);
      server.kill("SIGTERM");
      expect(await exit).to.equal(0);
    });

    const blocks = blocksOf(page).filter(({ mark }) => mark !== undefined);

    it("has blocks that can be run", () => {
      expect(blocks).to.have.length.above(1);
      expect(blocks.filter(({ language }) => language === "console")).to.have.length.above(0);
    });

    for (const block of blocks) {
      const name = block.text.split("\n")[0];
      it(`line ${block.line}: ${name}`, async function () {
        const condition = /^run if: (.*)$/.exec(block.mark!)?.[1];
        if (condition && (await shell(`${prelude}\n${condition}`)).exitCode !== 0)
          return skip(this, `this fails here: ${condition}`);
        if (block.language === "console") await runConsole(block, prelude);
        else {
          const { exitCode, out } = await shell(`${prelude}\nset -e\n${block.text}`);
          expect(exitCode, out).to.equal(0);
        }
      });
    }
  });

/** What makes the commands of the page reach this checkout's program and this test's server. */
function shellPrelude(control: string, http: string, files: string): string {
  const node = JSON.stringify(process.execPath);
  const tsx = JSON.stringify(import.meta.resolve("tsx"));
  return `
shopt -s expand_aliases
export RRCTL_ADDRESS=${control}
rrctl() { ${node} --import ${tsx} cli/main.ts "$@"; }
npx() {
  local program=$1; shift
  case $program in
    rrctl) rrctl "\${@//127.0.0.1:6002/${control}}" ;;
    buf) ${node} node_modules/@bufbuild/buf/bin/buf "\${@//127.0.0.1:6002/${control}}" ;;
    *) echo "npx $program: not known to the test" >&2; return 1 ;;
  esac
}
curl() {
  set -- "\${@//127.0.0.1:8080/${http}}"
  set -- "\${@//127.0.0.1:8081/${files}}"
  # Who looks at the head wants to see failures, too.
  if [[ $1 == -si ]]; then command curl --max-time 20 "$@"; return; fi
  command curl --fail --silent --show-error "$@"
}
grpcurl() { command grpcurl "\${@//127.0.0.1:6002/${control}}"; }
# The first Python that has gRPC: version managers put others before the system's.
python3() {
  local one
  for one in python3 /usr/bin/python3; do
    command $one -c "import grpc" 2>/dev/null && { command $one "\${@//127.0.0.1:6002/${control}}"; return; }
  done
  return 1
}
alias alias=:
`;
}

interface ShellResult {
  exitCode: number | null;
  /** Standard output and standard error as they came. */
  out: string;
}

function shell(script: string): Promise<ShellResult> {
  const child = spawn("bash", ["-c", `exec 2>&1\n${script}`], { cwd: ROOT, stdio: ["ignore", "pipe", "ignore"] });
  let out = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), COMMAND_LIMIT_MS);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode) => {
      clearTimeout(timer);
      resolve({ exitCode, out });
    });
  });
}

async function runConsole({ text }: Block, prelude: string): Promise<void> {
  for (const part of text.split(/^\$ /m).slice(1)) {
    const [command, ...shown] = part.trimEnd().split("\n");
    const { out } = await shell(`${prelude}\n${command}`);
    const real = out.trimEnd().split("\n");
    expect(real.length, `lines of "${command}":\n${out}`).to.equal(shown.length);
    for (const [at, line] of shown.entries())
      expect(formOf(real[at]!), `output of "${command}"`).to.match(patternOf(line));
  }
}

/** A line without what differs from run to run: numbers, times and the width of columns. */
function formOf(line: string): string {
  return line
    .replace(/\bnow\b/g, "0 seconds ago")
    .replace(/\bseconds?\b/g, "seconds")
    .replace(/\d[\d.:]*( ?(ms|µs|s)\b)?/g, "0")
    .replace(/ +/g, " ")
    .trim();
}

/** "…" stands for anything. */
function patternOf(line: string): RegExp {
  const literal = formOf(line).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replaceAll(/(, )?…/g, ".*")}$`);
}

describe("documentation", () => {
  for (const page of PAGES) {
    it(`${page}: links lead to what is there`, () => {
      const text = readFileSync(join(ROOT, page), "utf8").replace(/^```[\s\S]*?^```$/gm, "");
      const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
      const broken = links.filter((link) => !/^https?:/.test(link) && !linkLeadsSomewhere(page, link));
      expect(broken).to.deep.equal([]);
    });
  }

  const snippets = PAGES.flatMap((page) =>
    blocksOf(page)
      .filter(({ language, text }) => language === "yaml" && /^version: "3"/m.test(text))
      .map(({ text, line }) => ({ name: `${page}, line ${line}`, text, directory: join(ROOT, dirname(page)) })),
  );
  const files = [...filesNamed(join(ROOT, "examples")), ...filesNamed(join(ROOT, "php/examples"))].map((file) => ({
    name: relative(ROOT, file),
    text: readFileSync(file, "utf8"),
    directory: dirname(file),
  }));

  for (const page of PAGES.filter((one) => one.startsWith("docs/")))
    for (const { text, line } of blocksOf(page).filter(
      ({ language, text }) => language === "yaml" && !/^version:/m.test(text),
    ))
      it(`${page}, line ${line} is a part of a configuration`, () => {
        const http = /^http:/m.test(text) ? "" : 'http: { address: ":80" }\n';
        const whole = `version: "3"\nserver: { command: x }\n${http}${text}`;
        const { problems } = checkConfiguration({ cwd: ROOT, text: whole, env: {} });
        const errors = problems.filter(({ severity, path }) => severity === "error" || path.startsWith("http."));
        // Certificates and tokens of the examples are on no machine.
        const messages = errors
          .map(({ message }) => message)
          .filter((message) => !/\/etc\/(ssl|rrctl)\//.test(message));
        expect(messages).to.deep.equal([]);
      });

  it("docs/limits.md has the defaults of the contract, and all limits", () => {
    const rows = (page: string) => readFileSync(join(ROOT, page), "utf8").split("\n");
    const http = rows("docs/configuration.md").flatMap((row) => {
      const [, key, , shown] = row.split("|").map((cell) => cell.trim());
      return /^`(max_|.*_timeout`)/.test(key ?? "") ? [`${key} ${shown}`] : [];
    });
    const limits = rows("docs/limits.md").flatMap(
      (row) => /^\| (`\w+`) \| (`\w+`) \|/.exec(row)?.slice(1).join(" ") ?? [],
    );
    expect(limits).to.have.length(10);
    expect(http).to.include.members(limits);
  });

  it("has no example that nothing runs", () => {
    const notRun = PAGES.flatMap((page) =>
      blocksOf(page)
        .filter((block) => !isRun(page, block))
        .map(({ line, text }) => `${page}, line ${line}: ${text.split("\n")[0]}`),
    );
    expect(notRun).to.deep.equal([]);
  });

  it("docs/roadrunner.md names every key that RoadRunner does not have", () => {
    const text = readFileSync(join(ROOT, "docs/roadrunner.md"), "utf8");
    const paragraph = /^Keys that RoadRunner does not have:[\s\S]*?\n\n/m.exec(text)![0];
    const named = new Set([...paragraph.matchAll(/`([^`]+)`/g)].map(([, key]) => key!.split(".").at(-1)!));
    const own = new Set<string>();
    let section = "";
    for (const row of readFileSync(join(ROOT, "docs/configuration.md"), "utf8").split("\n")) {
      section = /^## (.*)/.exec(row)?.[1] ?? section;
      const key = /^\| `(\w+)`.*\*Own\.\*/.exec(row)?.[1];
      // A section of ours is named as a whole.
      if (key !== undefined && !/`control`|`http\.(gzip|sendfile)`/.test(section)) own.add(key);
    }
    expect(own.size).to.be.above(30);
    expect([...own].filter((key) => !named.has(key))).to.deep.equal([]);
  });

  it("shows configurations and has files of them", () => {
    expect(snippets).to.have.length.above(1);
    expect(files).to.have.length.above(3);
  });

  for (const { name, text, directory } of [...snippets, ...files])
    it(`${name} is a configuration without faults`, () => {
      const { problems } = checkConfiguration({ cwd: directory, text, env: {} });
      expect(problems.map(({ line, message }) => `line ${line}: ${message}`)).to.deep.equal([]);
    });
});

/** Where examples are run that are neither marked nor configurations. */
const RUN_ELSEWHERE: Readonly<Record<string, RegExp>> = {
  // This run of the tests is one of them; the demo of the other is what the page's commands run against.
  "README.md": /^npm start|^<\?php \/\/ worker\.php/,
  // test/e2e/documented-examples.test.ts
  "php/README.md": /^use Rrctl\\/,
  "docs/middleware.md": /^\/\/ middleware\//,
  "docs/tls.md": /^upstream /,
  // test/e2e/documented-commands.test.ts
  "docs/rrctl.md": /^(rrctl|source) /,
  // test/e2e/access.test.ts
  "docs/security.md": /^(\$ )?rrctl /,
  // test/e2e/frontend.test.ts
  "docs/frontends.md": /^rrctl /,
  // grpc-clients.test.ts makes a client by the template of examples/python, of the same form.
  "proto/README.md": /^# buf\.gen\.yaml of your client/,
};

function isRun(page: string, { language, text, mark }: Block): boolean {
  if (RUN_ELSEWHERE[page]?.test(text)) return true;
  if (language === "yaml") return page.startsWith("docs/") || /^version: "3"/m.test(text);
  // Without a language: drawings, and forms of commands.
  if (language === "") return true;
  return mark !== undefined && RUNNABLE.some((one) => one.page === page);
}

function linkLeadsSomewhere(page: string, link: string): boolean {
  const [path, anchor] = link.split("#") as [string, string | undefined];
  const target = path === "" ? join(ROOT, page) : join(ROOT, dirname(page), path);
  try {
    if (path !== "" && !path.endsWith(".md"))
      return readdirSync(dirname(target)).includes(target.split("/").at(-1)!) || readdirSync(target).length > 0;
    const text = readFileSync(target, "utf8");
    return anchor === undefined || anchorsOf(text).has(anchor);
  } catch {
    return false;
  }
}

/** As the usual renderers name headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map((match) => match[1]!);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
}

function filesNamed(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesNamed(path);
    return entry.name.endsWith(".rr.yaml") ? [path] : [];
  });
}
