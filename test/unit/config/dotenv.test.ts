// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the environment are written like that.
import { expect } from "chai";
import { parseDotenv } from "../../../src/config/dotenv.ts";
import { check, load, MINIMAL } from "./support.ts";

describe("config env files", () => {
  for (const [text, expected] of [
    ["A=1", { A: "1" }],
    ["A=1\r\nB=2\n", { A: "1", B: "2" }],
    ["\uFEFFA=1", { A: "1" }],
    ["# nothing\n\n  \nA=1", { A: "1" }],
    ["export A=1", { A: "1" }],
    ["A = spaces around ", { A: "spaces around" }],
    ["A: yaml", { A: "yaml" }],
    ["A=", { A: "" }],
    ["A= # nothing", { A: "" }],
    ["A=value # a comment", { A: "value" }],
    ["A=no#comment", { A: "no#comment" }],
    ["A='single $B \\n' # c", { A: "single $B \\n" }],
    ['A="double # \\"q\\" \\\\ \\t."', { A: 'double # "q" \\ \t.' }],
    ['A="two\nlines"\nB=1', { A: "two\nlines", B: "1" }],
    ['A="two\\nlines"', { A: "two\nlines" }],
    ["A='two \n lines '\nB=1", { A: "two \n lines ", B: "1" }],
    ["A=1\nB=${A}2\nC=\"$B\"\nD='$B'", { A: "1", B: "12", C: "12", D: "$B" }],
    ['A="\\$B"\nB=1', { A: "$B", B: "1" }],
    ["A=$OUTER", { A: "from outside" }],
    ["A=1\nA=2", { A: "2" }],
    ["A=x=y", { A: "x=y" }],
  ] as const)
    it(`reads ${JSON.stringify(text)}`, () => {
      expect(parseDotenv(text, { OUTER: "from outside" })).to.deep.equal({ values: expected, badLines: [] });
    });

  it("tells lines that are none, and reads on after them", () => {
    expect(parseDotenv('A=1\nnonsense\n=2\nB="open\nC=3')).to.deep.equal({
      values: { A: "1", C: "3" },
      badLines: [2, 3, 4],
    });
  });

  it("--dotenv is read before the file and loses to the environment", () => {
    const { configuration, env } = load(`${MINIMAL}logs: {level: "\${LEVEL}", mode: "\${MODE}"}`, {
      dotenv: "conf/.env",
      env: { MODE: "production" },
      files: { "/app/conf/.env": "LEVEL=warn\nMODE=raw\nNEW=1" },
    });
    expect(configuration.logs).to.deep.include({ level: "warn", mode: "production" });
    expect(env).to.deep.equal({ MODE: "production", LEVEL: "warn", NEW: "1" });
  });

  it("DOTENV_PATH stands above --dotenv", () => {
    const { env } = load(MINIMAL, {
      dotenv: "flag.env",
      env: { DOTENV_PATH: "/variable.env" },
      files: { "/app/flag.env": "FROM=flag", "/variable.env": "FROM=variable" },
    });
    expect(env.FROM).to.equal("variable");
  });

  it("a file of --dotenv that does not exist is an error", () => {
    expect(check(MINIMAL, { dotenv: "x.env" }).errors).to.deep.equal(["--dotenv: the file /app/x.env does not exist"]);
  });

  it("envfile starts from the folder of the file and loses to what is set already", () => {
    const { configuration, env } = load("", {
      file: "conf/rr.yaml",
      dotenv: "a.env",
      files: {
        "/app/conf/rr.yaml": `${MINIMAL}envfile: b.env\nlogs: {level: $LEVEL}`,
        "/app/a.env": "ONE=a",
        "/app/conf/b.env": "ONE=b\nLEVEL=error",
      },
    });
    expect(configuration.logs.level).to.equal("error");
    expect(env).to.deep.equal({ ONE: "a", LEVEL: "error" });
  });

  it("an envfile that does not exist is an error at its place", () => {
    expect(check(`${MINIMAL}envfile: none.env`).errors).to.deep.equal([
      ".rr.yaml:4:10: envfile: the file /app/none.env does not exist",
    ]);
  });

  it("an envfile may have a name that looks like a number", () => {
    expect(load(`${MINIMAL}envfile: 0755`, { files: { "/app/0755": "A=1" } }).env).to.deep.equal({ A: "1" });
  });

  it("lines that are left out are warned of", () => {
    const { warnings } = check(`${MINIMAL}envfile: .env`, { files: { "/app/.env": "A=1\nB" } });
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.match(/^\/app\/\.env:2:1: the line is left out: expected NAME=value/);
  });
});
