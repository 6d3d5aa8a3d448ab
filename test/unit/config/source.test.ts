// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the environment are written like that.
import { expect } from "chai";
import { check, errorsWith, load, loadWith, MINIMAL } from "./support.ts";

describe("config source", () => {
  it("tells line and column of values, keys and list items", () => {
    const text = 'version: "3"\nserver:\n  command: php worker.php\n  user: [x]\nhttp:\n  address: 1\n  pools: {}\n';
    expect(check(`${text}logs:\n  output:\n    - stderr\n    - {}\n`).errors).to.deep.equal([
      ".rr.yaml:4:9: server.user: expected text, got a list",
      '.rr.yaml:6:12: http.address: expected "host:port" or ":port", got "1": a port alone is written ":1"',
      '.rr.yaml:7:3: http.pools: unknown key "pools"; it belongs to the top of the file',
      ".rr.yaml:11:7: logs.output: expected text in the list, got keys and values",
    ]);
  });

  it("names the file as it was given", () => {
    const { errors } = check("", { file: "/etc/rr.yaml", files: { "/etc/rr.yaml": "a: 1" } });
    expect(errors.join("\n")).to.match(/^\/etc\/rr\.yaml:1:1: a: unknown key/m);
  });

  for (const [name, text] of [
    ["nothing", ""],
    ["a comment", "# nothing\n"],
    ["an empty document", "---\n"],
    ["null", "~"],
  ] as const)
    it(`says what is missing in a file of ${name}`, () => {
      expect(check(text).errors).to.deep.equal(['.rr.yaml:1:1: version: it is missing: add `version: "3"`']);
    });

  for (const [name, text, got] of [
    ["text", "just text", "text"],
    ["a list", "- a\n- b", "a list"],
    ["a number", "3", "text"],
  ] as const)
    it(`refuses ${name}`, () => {
      expect(check(text).errors).to.deep.equal([
        `.rr.yaml:1:1: expected keys and values such as \`version: "3"\`, got ${got}`,
      ]);
    });

  it("reads JSON, also indented with tabs", () => {
    const json = {
      version: "3",
      server: { command: "php worker.php" },
      http: { address: ":80", pool: { num_workers: 2 } },
    };
    const { configuration } = load(JSON.stringify(json, undefined, "\t"));
    expect(configuration.pools[0]!.numWorkers).to.equal(2);
  });

  it("reads a file with a byte order mark and Windows line ends", () => {
    expect(check(`\uFEFF${MINIMAL}logs: {level: x}`.replaceAll("\n", "\r\n")).errors[0]).to.match(/^\.rr\.yaml:4:15: /);
  });

  it("reports tabs at each line, and what else is wrong with its columns", () => {
    const text =
      'version: "3"\nserver:\n\tcommand: php worker.php\nhttp:\n\taddress: ":80"\n\tpool:\n\t\tnum_wokers: 4\n';
    const tab = "a tab is used to indent, which YAML does not allow: use spaces";
    expect(check(`${text}logs:\n  level: loud # right\n`).errors).to.deep.equal([
      `.rr.yaml:3:1: ${tab}`,
      `.rr.yaml:5:1: ${tab}`,
      `.rr.yaml:6:1: ${tab}`,
      `.rr.yaml:7:1: ${tab}`,
      '.rr.yaml:7:3: http.pool.num_wokers: unknown key "num_wokers"; did you mean "num_workers"?',
      '.rr.yaml:9:10: logs.level: expected "debug", "info", "warn", "error", "panic", "dpanic" or "fatal", got "loud"',
    ]);
  });

  it("reports tabs alone where what was meant cannot be guessed", () => {
    expect(check('version: "3"\nserver:\n\t  command: [\n').errors).to.have.length(1);
  });

  for (const [name, more, expected] of [
    [
      "a key given twice",
      "logs: {level: info}\nlogs: {level: warn}\n",
      /^\.rr\.yaml:4:1: the key "logs" is given a second time/,
    ],
    [
      "the same in other letters",
      "logs: {level: info}\nLOGS: {level: warn}\n",
      /^\.rr\.yaml:4:1: logs: the key is given a second time, as logs and LOGS: remove one/,
    ],
    ["a second colon", "logs: level: info\n", /^\.rr\.yaml:3:7: a second ": " stands in this line/],
    ["a reserved character", "logs: @x\n", /^\.rr\.yaml:3:7: a value cannot start with this character/],
    ["wrong indentation", "logs:\n   level: info\n  mode: raw\n", /^\.rr\.yaml:5:1: the indentation does not fit/],
    ["an open quote", "logs: {level: 'info}\n", /^\.rr\.yaml:\d+:\d+: this is not valid YAML: Missing closing 'quote/],
    ["a second document", "---\nlogs: {}\n", /^\.rr\.yaml:3:1: a second document starts here/],
    [
      "an unknown alias",
      "logs: *nowhere\n",
      /^\.rr\.yaml:3:7: \*nowhere names no anchor: there is no &nowhere above it/,
    ],
    ["a map as a key", "logs: {[a, b]: 1}\n", /^\.rr\.yaml:3:8: expected the name of a key/],
    [
      "a variable without quotes in braces",
      "logs: {level: ${LEVEL}}\n",
      /^\.rr\.yaml:3:16: a variable inside \[ \] or \{ \} needs quotes/,
    ],
  ] as const)
    it(`reports ${name}`, () => {
      expect(errorsWith(more)[0]).to.match(expected);
    });

  it("finds other problems beside a key given twice", () => {
    const errors = errorsWith("logs: {level: loud}\nrpc: {}\nrpc: {}\nx: 1\n");
    expect(errors.map((error) => error.split(" ")[0])).to.deep.equal([
      ".rr.yaml:3:15:",
      ".rr.yaml:5:1:",
      ".rr.yaml:6:1:",
    ]);
  });

  it("reads anchors, aliases and merge keys, kept under x- at the top", () => {
    const { configuration } = load(
      'version: "3"\nserver: {command: php worker.php}\nx-pool: &pool {num_workers: 2, max_jobs: 7}\n' +
        "pools:\n  a: *pool\n  b: {<<: *pool, max_jobs: 8}\n  c: {<<: [{max_jobs: 9}, *pool]}\n",
    );
    expect(configuration.pools.map(({ numWorkers, maxJobs }) => [numWorkers, maxJobs])).to.deep.equal([
      [2, 7],
      [2, 8],
      [2, 9],
    ]);
  });

  it("ends with aliases that make billions of nodes, and with one that contains itself", () => {
    const lines = Array.from({ length: 30 }, (_, at) => `x-${at + 1}: &a${at + 1} [*a${at}, *a${at}]`);
    for (const more of [`x-0: &a0 [1]\n${lines.join("\n")}\n`, "x-loop: &loop {again: *loop}\n"]) {
      const errors = errorsWith(more);
      expect(errors).to.have.length(1);
      expect(errors[0]).to.contain("too deep or too large");
    }
  });

  it("refuses files that are larger than any configuration", () => {
    expect(errorsWith("#".repeat(300_000))).to.deep.equal([".rr.yaml:1:1: expected at most 262144 characters"]);
  });

  for (const [name, more, expected] of [
    ["keys", Array.from({ length: 25_000 }, (_, at) => `k${at}: 1\n`).join(""), /too deep or too large/],
    [
      "unknown keys",
      Array.from({ length: 10_000 }, (_, at) => `k${at}: 1\n`).join(""),
      /unknown key.*\n.*and 9001 more/s,
    ],
    ["list items", `x-a: [${"1,".repeat(100_000)}]\n`, /too deep or too large/],
    ["aliases", `x-a: &a 1\nx-b: [${"*a,".repeat(80_000)}]\n`, /too deep or too large/],
    ["open variables", `rpc: {listen: "${"${".repeat(100_000)}"}\n`, /^[^\n]{1,400}$/],
    ["nested variables", `rpc: {listen: "${"${A:-".repeat(40_000)}${"}".repeat(40_000)}"}\n`, /^[^\n]{1,400}$/],
    ["variables that are not set", `rpc: {listen: "${"$A".repeat(100_000)}"}\n`, /^$/],
    ["mistakes of form", "]\n".repeat(20_000), /^([^\n]+\n){19}[^\n]+$/],
  ] as const)
    it(`ends with as many ${name} as fit into a file`, () => {
      expect(errorsWith(more).join("\n")).to.match(expected);
    });

  for (const [name, text] of [
    ["brackets", `x: ${"[".repeat(100_000)}`],
    ["brackets that close", `x: ${"[".repeat(50_000)}${"]".repeat(50_000)}`],
    ["braces over lines", "{a:\n".repeat(20_000)],
    ["indentation", Array.from({ length: 400 }, (_, level) => `${" ".repeat(level)}a:`).join("\n")],
    ["brackets between texts that would close them", `x: ${'[ "]", '.repeat(20_000)}`],
    ["brackets after a quote in a text", `x: [a", ${"[".repeat(20_000)}`],
    ["dashes", "- ".repeat(50_000)],
    ["question marks", "? ".repeat(50_000)],
    ["lists of lists in lines", Array.from({ length: 400 }, (_, level) => `${" ".repeat(level)}- a:`).join("\n")],
  ] as const)
    it(`refuses ${name} by the thousand`, () => {
      expect(check(text).errors).to.deep.equal([".rr.yaml:1:1: expected at most 100 levels of nesting"]);
    });

  it("counts no brackets in comments and texts, nor those that closed", () => {
    expect(
      check(`${MINIMAL}x-a: "${"[".repeat(500)}"\nx-b: ${"a[".repeat(500)}\nx-c: |\n  ${"- ".repeat(500)}\n`).errors,
    ).to.deep.equal([]);
    expect(check(MINIMAL + "# [ {\n".repeat(500)).errors).to.deep.equal([]);
    expect(loadWith(Array.from({ length: 300 }, (_, at) => `x-${at}: [{a: [1]}]\n`).join("")).warnings).to.deep.equal(
      [],
    );
  });

  it("resolves an alias to the last anchor above it", () => {
    const { configuration } = load(
      `version: "3"\nx-a: &a 1s\nserver: {command: x}\npools:\n  one: {allocate_timeout: *a}\nx-b: &a 2s\nendure: {grace_period: *a}\n`,
    );
    expect([configuration.pools[0]!.queueWaitMs, configuration.gracePeriodMs]).to.deep.equal([1000, 2000]);
  });

  it("takes keys in any letters, and those with nothing behind them for absent", () => {
    const { configuration } = load(
      'VERSION: "3"\nServer: {Command: php worker.php}\nhttp:\n  address: ":80"\n  pool:\n  middleware:\nlogs:\n  level: ~\n',
    );
    expect(configuration.pools[0]).to.deep.include({ name: "http", command: ["php", "worker.php"] });
    expect(configuration.logs.level).to.equal("info");
  });

  it("keeps what other keys hold when one is wrong", () => {
    const { loaded } = check(`${MINIMAL}logs: {level: loud, mode: raw}`);
    expect(loaded!.configuration.logs).to.deep.include({ level: "info", mode: "raw" });
  });

  it("has no limit on names that look like those of objects", () => {
    const { configuration } = loadWith("pools: {constructor: {}, toString: {}}");
    expect(configuration.pools.map(({ name }) => name)).to.deep.equal(["http", "constructor", "toString"]);
    expect(errorsWith("__proto__: {a: 1}\n")[0]).to.contain('unknown key "__proto__"');
    expect(errorsWith("hasOwnProperty: 1\n")[0]).to.contain('unknown key "hasOwnProperty"');
  });
});
