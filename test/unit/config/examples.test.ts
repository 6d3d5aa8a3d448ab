import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { parse } from "yaml";
import { checkConfiguration } from "../../../src/config/load.ts";
import { problemText } from "../../../src/config/problem.ts";
import { schemaProblems } from "./json-schema.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SCHEMA = JSON.parse(readFileSync(join(ROOT, "docs/schema.json"), "utf8")) as object;

/** Configuration files that users are shown. */
const FILES = ["examples", "php/examples"].flatMap((directory) =>
  readdirSync(join(ROOT, directory), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".rr.yaml"))
    .map((path) => join(directory, path)),
);

/** The example of the reference page. */
const PAGE = /```yaml\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, "docs/configuration.md"), "utf8"))?.[1];

describe("config examples", () => {
  it("there are some", () => {
    expect(FILES).to.include.members(["examples/minimal/.rr.yaml", "php/examples/demo/.rr.yaml"]);
    expect(PAGE).to.be.a("string");
  });

  for (const [name, text] of [
    ...FILES.map((file) => [file, readFileSync(join(ROOT, file), "utf8")] as const),
    ["the first one of docs/configuration.md", PAGE!] as const,
  ]) {
    it(`${name} is right, with nothing to warn of`, () => {
      const { problems } = checkConfiguration({ file: name, cwd: ROOT, env: {}, text });
      expect(problems.map(problemText)).to.deep.equal([]);
    });

    it(`${name} fits docs/schema.json`, () => {
      expect(schemaProblems(SCHEMA, parse(text, { merge: true }))).to.deep.equal([]);
    });
  }
});
