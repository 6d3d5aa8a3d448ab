// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the environment are written like that.
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { parse } from "yaml";
import { ProblemSeverity, ProvenanceKind } from "../../../gen/roadrunner/config/v1/config_service_pb.ts";
import { toGetConfigResponse, toValidateConfigResponse } from "../../../src/config/contract.ts";
import { checkConfiguration, loadConfiguration } from "../../../src/config/load.ts";
import { plainConfiguration, writeYaml } from "../../../src/config/write.ts";
import { load, loadWith, MINIMAL } from "./support.ts";

const FIXTURES = fileURLToPath(new URL("../../fixtures/config/", import.meta.url));

describe("config writing", () => {
  for (const file of ["minimal.yaml", "every-key.yaml", "roadrunner.yaml"])
    it(`gives a text for ${file} that means the same`, () => {
      const source = { file, cwd: FIXTURES, env: {} };
      const loaded = loadConfiguration(source);
      const again = loadConfiguration({ ...source, text: writeYaml(loaded.message) });
      expect(again.message).to.deep.equal(loaded.message);
      expect({ ...again.configuration, configFile: undefined }).to.deep.equal({
        ...loaded.configuration,
        configFile: undefined,
      });
      expect(writeYaml(again.message)).to.equal(writeYaml(loaded.message));
    });

  it("is what people write: units, lists, names in order", () => {
    const { message } = loadWith("pools: {a: {supervisor: {exec_ttl: 90s, max_worker_memory: 100}}}");
    const yaml = writeYaml(message);
    expect(yaml).to.match(/^version: "3"\nserver:\n {2}command:\n {4}- php\n {4}- worker.php\n/);
    expect(parse(yaml)).to.containSubset({
      http: { max_request_size: "1000MB", pool: { allocate_timeout: "60s", max_queue_size: 10_000 } },
      pools: { a: { supervisor: { exec_ttl: "90s", ttl: "0s", max_worker_memory: "100MB" } } },
    });
  });

  it("keeps dollar signs that are no variables any more", () => {
    const { message, configuration } = load('version: "3"\nserver: {command: x, env: {A: "$SECRET"}}\npools: {p: {}}', {
      env: { SECRET: "pa$$word ${HOME}" },
    });
    expect(configuration.pools[0]!.env.A).to.equal("pa$$word ${HOME}");
    const again = load(writeYaml(message), { env: { HOME: "/root" } });
    expect(again.configuration.pools[0]!.env.A).to.equal("pa$$word ${HOME}");
    expect(plainConfiguration(message)).to.containSubset({ server: { env: { A: "pa$$word ${HOME}" } } });
  });

  it("answers GetConfig", () => {
    const loaded = loadWith("logs: {level: warn}");
    const { yaml, configuration, provenance } = toGetConfigResponse(loaded, false);
    expect(yaml).to.equal(writeYaml(loaded.message));
    expect(configuration).to.deep.equal(loaded.message);
    expect(provenance).to.have.length(loaded.provenance.length);
    expect(provenance.find(({ path }) => path === "logs.level")).to.deep.include({
      value: "warn",
      kind: ProvenanceKind.FILE,
      origin: ".rr.yaml:4:15",
    });
  });

  it("answers ValidateConfig", () => {
    const { problems } = checkConfiguration({ cwd: "/", env: {}, text: `${MINIMAL}jobs: {}\nx: 1` });
    expect(toValidateConfigResponse(problems).problems.map(({ severity, path }) => [severity, path])).to.deep.equal([
      [ProblemSeverity.WARNING, "jobs"],
      [ProblemSeverity.ERROR, "x"],
    ]);
  });
});
