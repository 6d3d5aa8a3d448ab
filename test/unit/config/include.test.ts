import { expect } from "chai";
import { check, load, MINIMAL } from "./support.ts";

const included = (sections: string) => `version: "3"\n${sections}`;

describe("config include", () => {
  it("replaces whole sections, later files win, and the rest stays", () => {
    const { configuration, origins } = load(
      `${MINIMAL}logs: {level: debug, mode: raw}\nendure: {grace_period: 5s}\ninclude: [a.yaml, conf/b.yaml]`,
      {
        files: {
          "/app/a.yaml": included("logs: {level: warn}\nhttp: {address: ':81'}"),
          "/app/conf/b.yaml": included("logs: {level: error}"),
        },
      },
    );
    expect(configuration.logs).to.deep.include({ level: "error", mode: "development" });
    expect(configuration.http!.address!.port).to.equal(81);
    expect(configuration.gracePeriodMs).to.equal(5000);
    expect(origins.get("logs.level")).to.equal("conf/b.yaml:2:15");
    expect(origins.get("logs.mode")).to.equal("default");
  });

  it("tells included values from others in the provenance", () => {
    const { provenance } = load(`${MINIMAL}include: a.yaml`, {
      files: { "/app/a.yaml": included("logs: {level: warn}") },
    });
    expect(provenance.find(({ path }) => path === "logs.level")).to.deep.equal({
      path: "logs.level",
      value: "warn",
      kind: "include",
      origin: "a.yaml:2:15",
    });
  });

  it("starts from the working directory, not from the file", () => {
    load("", {
      file: "conf/rr.yaml",
      workingDirectory: "/srv",
      files: { "/app/conf/rr.yaml": `${MINIMAL}include: [more.yaml]`, "/srv/more.yaml": included("") },
    });
  });

  it("stands above -o, which is warned of", () => {
    const { loaded, warnings } = check(`${MINIMAL}include: [a.yaml]`, {
      overrides: ["logs.level=debug", "http.frontends=2"],
      files: { "/app/a.yaml": included("logs: {level: warn}") },
    });
    expect(loaded!.configuration.logs.level).to.equal("warn");
    expect(loaded!.configuration.http!.frontends).to.equal(2);
    expect(warnings).to.deep.equal(['-o logs.level=debug: it has no effect: a.yaml replaces the section "logs"']);
  });

  it("may be given by -o", () => {
    const { configuration } = load(MINIMAL, {
      overrides: ["include=a.yaml"],
      files: { "/app/a.yaml": included("logs: {level: warn}") },
    });
    expect(configuration.logs.level).to.equal("warn");
  });

  it("replaces variables in included files and reports their problems with their names", () => {
    const { loaded, errors } = check(`${MINIMAL}include: [a.yaml]`, {
      env: { LEVEL: "warn" },
      files: { "/app/a.yaml": included("logs: {level: $LEVEL, mod: raw}") },
    });
    expect(loaded!.configuration.logs.level).to.equal("warn");
    expect(errors).to.deep.equal(['a.yaml:2:23: logs.mod: unknown key "mod"; did you mean "mode"?']);
  });

  it("needs the version of the root", () => {
    const { errors } = check(`${MINIMAL}include: [a.yaml, b.yaml]`, {
      files: { "/app/a.yaml": 'version: "2.7"\n', "/app/b.yaml": "logs: {}" },
    });
    expect(errors).to.deep.equal([
      'a.yaml:1:10: version: expected "3", the version of the file that includes this one, got "2.7"',
      'b.yaml:1:1: version: expected "3", the version of the file that includes this one, got none',
    ]);
  });

  it("is not followed further", () => {
    const { loaded, errors, warnings } = check(`${MINIMAL}include: [a.yaml]`, {
      files: { "/app/a.yaml": included("include: [b.yaml]\nenvfile: x\n") },
    });
    expect(errors).to.deep.equal([]);
    expect(loaded!.message.include).to.deep.equal(["a.yaml"]);
    expect(warnings).to.deep.equal([
      "a.yaml:2:1: include: it has no effect in an included file",
      "a.yaml:3:1: envfile: it has no effect in an included file",
    ]);
  });

  it("takes names that look like numbers, and several in one text", () => {
    const { configuration } = load(`${MINIMAL}include: [0755, "b.yaml, c.yaml"]`, {
      files: {
        "/app/0755": included("endure: {grace_period: 7s}"),
        "/app/b.yaml": included("logs: {level: warn}"),
        "/app/c.yaml": included("rpc: {}"),
      },
    });
    expect(configuration).to.deep.include({
      gracePeriodMs: 7000,
      rpc: { listen: { kind: "tcp", host: "127.0.0.1", port: 6001 } },
    });
    expect(configuration.logs.level).to.equal("warn");
  });

  it("reports files that do not exist and what is no path, at their places", () => {
    const { errors } = check(`${MINIMAL}include: [none.yaml, {a: 1}]`);
    expect(errors).to.deep.equal([
      ".rr.yaml:4:11: include: the file /app/none.yaml does not exist; paths start from the working directory",
      ".rr.yaml:4:22: include: expected text in the list, got keys and values",
    ]);
  });
});
