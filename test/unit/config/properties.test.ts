// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the environment are written like that.
import { readFileSync } from "node:fs";
import { toJson } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { expect } from "chai";
import fc from "fast-check";
import { ConfigurationSchema } from "../../../gen/roadrunner/config/v1/configuration_pb.ts";
import { parseDotenv } from "../../../src/config/dotenv.ts";
import { escapeDollars, interpolate } from "../../../src/config/interpolation.ts";
import { checkConfiguration } from "../../../src/config/load.ts";
import { type Problem, problemText } from "../../../src/config/problem.ts";
import { sectionMessageOf } from "../../../src/config/schema.ts";
import { parseSource } from "../../../src/config/source.ts";
import type { SourceNode } from "../../../src/config/source-node.ts";
import { formatDuration, formatSize, MEGABYTE, parseDuration, parseSize } from "../../../src/config/units.ts";
import { readValue } from "../../../src/config/value.ts";
import { writeYaml } from "../../../src/config/write.ts";
import { allKeys } from "./descriptor-walk.ts";

const fixture = (file: string) => readFileSync(new URL(`../../fixtures/config/${file}`, import.meta.url), "utf8");
const FIXTURES = ["every-key.yaml", "roadrunner.yaml"].map(fixture);

/** What people and broken editors put where it does not belong. */
const PIECES = [..."\t\n :[]{}\"'&*$!|>-#%@`0a~?,\r\0", "${", "<<: ", "- ", "{a: 1}", "0x1F", "null", "!!binary x"];
/** Values of every kind, right for few keys. */
const VALUES = [
  "null",
  "true",
  "yes",
  "1",
  "0",
  "-1",
  "1.5",
  "1e3",
  "0x10",
  "0755",
  ".inf",
  ".nan",
  "''",
  "' '",
  "'0'",
  "[]",
  "{}",
  "[a]",
  "[5, b]",
  "[{}]",
  "[[]]",
  "{a: 1}",
  "'$A'",
  "'${'",
  "'${X:-5s}'",
  "1s",
  "-1s",
  "0.9999999999s",
  "99999999h",
  "100000000h",
  "5MB",
  "9007199254740993",
  "1e400",
  "2001-01-01",
  "!!binary aGk=",
];

const noFiles = (path: string) => ({ error: `the file ${path} does not exist` });
const checkText = (text: string) => checkConfiguration({ cwd: "/app", env: { A: "x" }, text, readFile: noFiles });

describe("config properties", function () {
  this.timeout(60_000);

  it("durations of whole milliseconds survive writing and reading", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 45), max: 2 ** 45 }), (ms) => parseDuration(formatDuration(ms)) === ms),
    );
  });

  it("durations of nanoseconds do so to the nanosecond", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (nanoseconds) => {
        const read = parseDuration(formatDuration(nanoseconds / 1e6))!;
        expect(Math.round(read * 1e6)).to.equal(nanoseconds);
      }),
    );
  });

  it("durations add up as their parts do", () => {
    const part = fc.nat({ max: 59 });
    fc.assert(
      fc.property(fc.nat({ max: 10_000 }), part, part, fc.nat({ max: 999 }), (hours, minutes, seconds, ms) => {
        const expected = ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms;
        expect(parseDuration(`${hours}h${minutes}m${seconds}s${ms}ms`)).to.be.closeTo(expected, 1e-6);
      }),
    );
  });

  it("sizes survive writing and reading, whatever a bare number means", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (bytes) => {
        expect(parseSize(formatSize(bytes), 1)).to.equal(bytes);
        expect(parseSize(formatSize(bytes), MEGABYTE)).to.equal(bytes);
      }),
    );
  });

  it("escaped text is interpolated to itself, and text without a dollar sign too", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."$${}:-aA_1 ") }), (text) => {
        expect(interpolate(escapeDollars(text), { a: "x", A: "y" }).text).to.equal(text);
        const plain = text.replaceAll("$", "");
        expect(interpolate(plain, { a: "x" }).text).to.equal(plain);
      }),
    );
  });

  it("a value in single quotes is what an env file gives", () => {
    const character = fc.constantFrom(...'aA="\\$\n #{}:-é');
    fc.assert(
      fc.property(fc.string({ unit: character }), (value) => {
        expect(parseDotenv(`A='${value}'\nB=1`, {})).to.deep.equal({ values: { A: value, B: "1" }, badLines: [] });
      }),
    );
  });

  it("a file with mistakes anywhere is read to its end, and every error has a place", () => {
    const edit = fc.record({ at: fc.nat(), removed: fc.nat(6), added: fc.constantFrom(...PIECES) });
    fc.assert(
      fc.property(fc.constantFrom(...FIXTURES), fc.array(edit, { minLength: 1, maxLength: 3 }), (original, edits) => {
        const text = edits.reduce((text, { at, removed, added }) => {
          const start = at % (text.length + 1);
          return text.slice(0, start) + added + text.slice(start + removed);
        }, original);
        const lines = text.split("\n").length;
        for (const problem of checkText(text).problems) {
          expect(problem.line, problemText(problem)).to.be.within(1, lines);
          expect(problem.column, problemText(problem)).to.be.greaterThan(0);
          expect(problemText(problem)).not.to.match(/undefined|NaN|\[object/);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("whatever a key takes, the API takes as well, and it is written so that it is read again", () => {
    const validator = createValidator();
    // Pools by name have the keys of http.pool.
    const keys = allKeys().filter(({ path, field }) => path[0] !== "pools" && !sectionMessageOf(field));
    let taken = 0;
    for (const { path, field } of keys)
      for (const value of VALUES) {
        // Nearly all are refused, which needs no file to be seen.
        if (field.fieldKind !== "map" && "error" in readValue(field, nodeOf(value))) continue;
        const above = path.map((key, depth) => `${"  ".repeat(depth)}${key}:`).join("\n");
        const text = `version: "3"\n${above} ${value}\n`;
        const { loaded, problems } = checkText(text);
        if (!loaded || problems.some(isError)) continue;
        taken++;
        const { kind, violations } = validator.validate(ConfigurationSchema, loaded.message);
        expect([kind, violations], text).to.deep.equal(["valid", undefined]);
        expect(() => toJson(ConfigurationSchema, loaded.message), text).not.to.throw();
        const yaml = writeYaml(loaded.message);
        const again = checkText(yaml);
        expect(again.problems.filter(isError).map(problemText), text).to.deep.equal([]);
        expect(writeYaml(again.loaded!.message), text).to.equal(yaml);
      }
    expect(taken).to.be.greaterThan(keys.length);
  });
});

function nodeOf(value: string): SourceNode {
  return parseSource(`key: ${value}`, "value", "file").root!.entries[0]!.node;
}

function isError({ severity }: Problem): boolean {
  return severity === "error";
}
