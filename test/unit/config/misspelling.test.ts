import { expect } from "chai";
import { stringify } from "yaml";
import { notYetOf, pathsByKey } from "../../../src/config/schema.ts";
import { allKeys } from "./descriptor-walk.ts";
import { check } from "./support.ts";

const KNOWN = pathsByKey();

/** The word with two neighbours swapped, a letter left out, doubled or replaced. */
function misspellings(word: string): string[] {
  const middle = Math.floor(word.length / 2);
  const swapped = word.slice(0, middle - 1) + word[middle] + word[middle - 1] + word.slice(middle + 1);
  return [
    swapped,
    word.slice(0, middle) + word.slice(middle + 1),
    word.slice(0, middle) + word[middle] + word.slice(middle),
    `${word.slice(0, -1)}q`,
  ].filter((misspelled) => misspelled !== word && !KNOWN.has(misspelled));
}

function nested(path: readonly string[], value: unknown): unknown {
  return path.reduceRight((inner, key) => (key === "0" ? [inner] : { [key]: inner }), value);
}

describe("config misspellings", () => {
  const keys = allKeys();

  it("finds keys to misspell", () => {
    expect(keys.length).to.be.greaterThan(100);
  });

  for (const { path } of keys) {
    const key = path.at(-1)!;
    for (const misspelled of misspellings(key)) {
      const wrong = [...path.slice(0, -1), misspelled];
      it(`${wrong.join(".")} is an error that names ${key}`, () => {
        const text = stringify(nested(wrong, "x"));
        // The first key of an item stands behind its dash.
        const line = wrong.filter((one) => one !== "0").length;
        const column = 1 + 2 * (wrong.length - 1);
        expect(check(text).errors).to.include(
          `.rr.yaml:${line}:${column}: ${wrong.join(".")}: unknown key "${misspelled}"; did you mean "${key}"?`,
        );
      });
    }
  }

  for (const { section, path } of keys.filter(({ path }) => path.length === 2 && path[0] !== "pools"))
    for (const key of notYetOf(section)) {
      const wrong = [path[0]!, key];
      it(`${wrong.join(".")} is a warning`, () => {
        const { warnings } = check(stringify(nested(wrong, {})));
        expect(warnings).to.include(
          `.rr.yaml:2:3: ${wrong.join(".")}: RoadRunner has this key, this server does not yet: it has no effect`,
        );
      });
    }

  it("takes a misspelled section of RoadRunner for that", () => {
    expect(check('version: "3"\nkafak: {}\njbos: {}\n').errors).to.deep.equal([
      '.rr.yaml:2:1: kafak: unknown key "kafak"; did you mean "kafka"?',
      '.rr.yaml:3:1: jbos: unknown key "jbos"; did you mean "jobs"?',
    ]);
  });

  it("lists what is known where nothing is near", () => {
    expect(check('version: "3"\ncontrol: {banana: 1}\n').errors).to.deep.equal([
      '.rr.yaml:2:11: control.banana: unknown key "banana"; known here: listen, max_message_size, events_kept, mode, group, tls, tokens',
    ]);
  });

  it("says where a key belongs that stands in the wrong section", () => {
    const { errors } = check('version: "3"\nmax_jobs: 1\nhttp: {exec_ttl: 1s, relay: pipes}\n');
    expect(errors).to.include(
      '.rr.yaml:2:1: max_jobs: unknown key "max_jobs"; it belongs to "http.pool" or to "pools.<name>"',
    );
    expect(errors).to.include('.rr.yaml:3:22: http.relay: unknown key "relay"; it belongs to "server"');
  });

  it("knows keys of RoadRunner 1, which had other spelling", () => {
    expect(check('version: "3"\npools: {a: {numWorkers: 1, maxJobs: 2}}\n').errors.join("\n"))
      .to.contain('did you mean "num_workers"?')
      .and.contain('did you mean "max_jobs"?');
  });
});
