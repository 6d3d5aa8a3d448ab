import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { checkConfiguration } from "../../../src/config/load.ts";
import { problemText } from "../../../src/config/problem.ts";
import { readTextFile } from "../../../src/config/read-file.ts";
import { check, MINIMAL } from "./support.ts";

const SECRET = "planted-93f1";

describe("config that is handed in", () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-test-handed-in-"));
    writeFileSync(join(directory, "secret"), `root:${SECRET}:1::\nuser:${SECRET}:2::\n`);
    writeFileSync(join(directory, "secret.env"), `${SECRET}\nNAME=${SECRET}\n`);
    // Whoever opens it waits for ever, if it is opened like a file.
    if (process.platform !== "win32") execFileSync("mkfifo", [join(directory, "pipe")]);
  });
  after(() => rmSync(directory, { recursive: true }));

  const problemsOf = (text: string) =>
    checkConfiguration({ text, cwd: directory, env: { MY_SECRET: SECRET }, handedIn: true }).problems.map(problemText);

  /** What would make the server look at something of its own, and what is said instead. */
  const table: [what: string, more: string, said: RegExp][] = [
    ["a file that is included", "include: [secret]", /^\.rr\.yaml:4:11: include: \S+\/secret was not read: /],
    ["a pipe that is included", "include: [pipe]", /include: \S+\/pipe was not read/],
    ["a device that is included", "include: [/dev/zero]", /include: \/dev\/zero was not read/],
    ["a file of variables", "envfile: secret.env", /envfile: \S+\/secret\.env was not read/],
    [
      "a variable",
      'logs: {level: "$MY_SECRET"}',
      /:4:15: what the variable MY_SECRET holds is not known here: the value is not checked$/,
    ],
    ["a variable in an address", 'status: {address: "$' + '{MY_SECRET}:80"}', /MY_SECRET holds is not known here/],
    ["a variable in a list", 'include: ["$MY_SECRET"]', /MY_SECRET holds is not known here/],
    [
      "a certificate",
      "rpc: {}\nfileserver: {address: ':81', serve: [{prefix: /, root: .}]}\n" +
        "pools: {a: {num_workers: 1}}\nlogs: {}\nendure: {}\nstatus: {address: ':82'}\n" +
        "http: {address: ':80', ssl: {address: ':443', key: secret, cert: secret, root_ca: secret}}",
      /http\.ssl\.key: \S+\/secret was not read/,
    ],
  ];
  for (const [what, more, said] of table)
    it(`${what} is not looked at`, () => {
      const base = more.includes("http:") ? 'version: "3"\nserver: {command: php worker.php}\n' : MINIMAL;
      const problems = problemsOf(base + more);
      expect(problems.some((problem) => said.test(problem))).to.equal(true, problems.join("\n"));
      expect(problems.join("\n")).not.to.contain(SECRET);
    });

  it("is not wrong because of what is not known", () => {
    const { problems } = checkConfiguration({
      text: 'version: "$V"\nserver: {command: "$C"}\nhttp: {address: "$A", pool: {num_workers: "$N"}}\nenvfile: .env\n',
      cwd: directory,
      env: {},
      handedIn: true,
    });
    expect(problems.filter(({ severity }) => severity === "error")).to.deep.equal([]);
  });

  it("is not wrong because of what may stand in a file that it includes", () => {
    const problems = problemsOf('version: "3"\nhttp: {address: ":80"}\ninclude: [more.yaml]\n');
    expect(problems).to.have.length(1);
    expect(problems[0]).to.contain("more.yaml was not read");
  });

  it("has the defaults of its variables", () => {
    expect(problemsOf(`${MINIMAL}endure: {grace_period: "\${T:-never}"}`).join()).to.match(
      /expected a time such as .*, got the value of \$\{T\}$/,
    );
  });
});

describe("config files that are none", () => {
  it("pipes, devices and folders are refused instead of waited for", function () {
    if (process.platform === "win32") this.skip();
    const directory = mkdtempSync(join(tmpdir(), "rr-test-files-"));
    try {
      execFileSync("mkfifo", [join(directory, "pipe")]);
      for (const [path, said] of [
        [join(directory, "pipe"), /is a pipe, a socket or a device/],
        ["/dev/zero", /is a pipe, a socket or a device/],
        [directory, /is a directory/],
        [join(directory, "none"), /does not exist/],
      ] as const) {
        const read = readTextFile(path);
        expect("error" in read && read.error, path).to.match(said);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  const shadow = `root:${SECRET}:20228:0:99999:7:::\ndaemon:*:${SECRET}:0:99999:7:::\n`;
  const others: Record<string, string> = {
    "a list of passwords": shadow,
    "keys and values": `user: ${SECRET}\n${SECRET}: 1\n`,
    "a list": `- ${SECRET}\n`,
    "variables of a shell": `export TOKEN="${SECRET}"\n\tB=${SECRET}\n`,
    "a key": `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----\n`,
    "what is no YAML": `{ ${SECRET}: [ ${SECRET}\n`,
    "another version's": `version: ${SECRET}x\n${SECRET}: 1\n`.replace(`version: ${SECRET}x`, 'version: "9"'),
    "bytes of no text": `\u0000\u0001${SECRET}`,
  };
  for (const [what, text] of Object.entries(others))
    it(`an included file that is ${what} is named, and nothing of it shown`, () => {
      const { errors, warnings } = check(`${MINIMAL}include: [other]`, { files: { "/app/other": text } });
      expect(errors).to.have.length(1);
      expect(errors[0]).to.contain("other");
      expect([...errors, ...warnings].join("\n")).not.to.contain(SECRET);
    });

  it("a mistake of form in an included configuration has its place, and nothing of its text", () => {
    const { errors } = check(`${MINIMAL}include: [a.yaml]`, {
      files: { "/app/a.yaml": `version: "3"\nserver: {env: {A: ${SECRET}\nhttp: @${SECRET}\n` },
    });
    expect(errors).to.have.length.above(0);
    expect(errors[0]).to.match(/^a\.yaml:\d+:\d+: /);
    expect(errors.join("\n")).not.to.contain(SECRET);
  });
});
