// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the environment are written like that.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { DescField } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { expect } from "chai";
import { parse } from "yaml";
import { ConfigurationSchema } from "../../../gen/roadrunner/config/v1/configuration_pb.ts";
import { parseDefault } from "../../../src/config/defaults.ts";
import { loadConfiguration } from "../../../src/config/load.ts";
import { boundsOf, listedSectionOf, sectionMessageOf, settingOf } from "../../../src/config/schema.ts";
import { parseSource } from "../../../src/config/source.ts";
import { readValue } from "../../../src/config/value.ts";
import { allKeys } from "./descriptor-walk.ts";
import { schemaProblems } from "./json-schema.ts";
import { check } from "./support.ts";

const FIXTURES = fileURLToPath(new URL("../../fixtures/config/", import.meta.url));
const DOCS = fileURLToPath(new URL("../../../docs/", import.meta.url));
const FILES = ["minimal.yaml", "every-key.yaml", "roadrunner.yaml"];
const KEYS = allKeys();
const fixture = (file: string) => readFileSync(FIXTURES + file, "utf8");

describe("config schema", () => {
  for (const { field, path } of KEYS) {
    const setting = settingOf(field);
    if (setting?.default)
      it(`${path.join(".")} has a default within its bounds`, () => {
        expect(parseDefault(field, setting.default)).not.to.equal(undefined);
      });
    if (setting?.example && !isNested(field))
      it(`${path.join(".")} has an example within its bounds`, () => {
        const { node } = parseSource(`example: ${setting.example}`, "example", "file").root!.entries[0]!;
        expect(readValue(field, node)).not.to.have.property("error");
      });
  }

  it("says for each key what absence means", () => {
    const silent = KEYS.filter(({ field }) => {
      const setting = settingOf(field);
      const said =
        setting?.default || setting?.defaultKey || setting?.defaultFigure || setting?.defaultNote || setting?.implied;
      // Lists, maps and files that are not there are empty; what is required cannot be absent.
      return !said && !boundsOf(field).required && field.fieldKind !== "list" && field.fieldKind !== "map";
    });
    expect(silent.map(({ path }) => path.join("."))).to.deep.equal(["envfile"]);
  });

  it("every-key.yaml has every key, none with its default", () => {
    const { provenance, message } = loadConfiguration({ file: "every-key.yaml", cwd: FIXTURES, env: {} });
    const written = new Map(
      provenance.filter(({ kind }) => kind !== "default").map(({ path, value }) => [path, value]),
    );
    for (const { field, path } of KEYS.filter(({ path }) => path[0] !== "pools")) {
      if (sectionMessageOf(field) || listedSectionOf(field) || field.fieldKind === "map" || path.includes("name"))
        continue;
      expect(written.get(path.join(".")), path.join(".")).not.to.be.oneOf([undefined, settingOf(field)?.default || ""]);
    }
    expect(message.pools.api).not.to.equal(undefined);
  });

  for (const file of FILES)
    it(`the validator of the API agrees with the loader on ${file}`, () => {
      const { message } = loadConfiguration({ file, cwd: FIXTURES, env: {} });
      const { kind, violations } = createValidator().validate(ConfigurationSchema, message);
      expect([kind, violations ?? []]).to.deep.equal(["valid", []]);
    });

  describe("docs/schema.json", () => {
    const schema = JSON.parse(readFileSync(`${DOCS}schema.json`, "utf8")) as object;

    for (const file of [...FILES, "minimal.json"])
      it(`accepts ${file}`, () => {
        // Names of storages are RoadRunner's and known to the loader only.
        const content = parse(fixture(file), { merge: true }) as Record<string, unknown>;
        delete content.orders;
        expect(schemaProblems(schema, content)).to.deep.equal([]);
      });

    for (const wrong of [
      { version: 3 },
      { verison: "3" },
      { version: "3", http: { adress: ":80" } },
      { version: "3", http: { internal_error_code: 99 } },
      { version: "3", http: { header_timeout: "soon" } },
      { version: "3", http: { max_request_size: "12 apples" } },
      { version: "3", http: { pool: { debug: "maybe" } } },
      { version: "3", http: { pool: { num_workers: "many" } } },
      { version: "3", server: { protocol: "goridge2" } },
      { version: "3", server: { command: [] } },
      { version: "3", pools: { "a.b": {} } },
      { version: "3", pools: { a: { supervisor: { ttl: "1d" } } } },
      { version: "3", logs: { channels: { http: { level: "loud" } } } },
    ])
      it(`refuses ${JSON.stringify(wrong)}, as the loader does`, () => {
        expect(schemaProblems(schema, wrong)).not.to.deep.equal([]);
        expect(check(JSON.stringify(wrong)).errors).not.to.deep.equal([]);
      });

    it("accepts variables and null wherever the loader does", () => {
      const content = {
        version: "3",
        http: {
          address: ":${PORT}",
          frontends: "${N:-1}",
          raw_body: "$RAW",
          header_timeout: "$T",
          max_request_size: "$S",
        },
        logs: { level: "$LEVEL", mode: null },
        endure: null,
        "x-anything": 1,
      };
      expect(schemaProblems(schema, content)).to.deep.equal([]);
    });
  });

  it("docs/configuration.md names every key", () => {
    const page = readFileSync(`${DOCS}configuration.md`, "utf8");
    for (const { field } of KEYS) expect(page).to.contain(`| \`${field.name}\``);
  });
});

/** Its example shows keys below it, which `readValue` does not read. */
function isNested(field: DescField): boolean {
  return sectionMessageOf(field) !== undefined || field.fieldKind === "map";
}
