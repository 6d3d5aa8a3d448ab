// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the environment are written like that.
import { expect } from "chai";
import { parseOverride } from "../../../src/config/overrides.ts";
import { check, load, MINIMAL } from "./support.ts";

describe("config overrides", () => {
  for (const [text, path, value] of [
    ["http.address=:80", ["http", "address"], ":80"],
    ["  key = spaced value ", ["key"], "spaced value"],
    ['key="quoted"', ["key"], "quoted"],
    ["key='quoted'", ["key"], "quoted"],
    ["key=`quoted`", ["key"], "quoted"],
    ['"key=whole"', ["key"], "whole"],
    ["' key=whole'", ["key"], "whole"],
    ['key=say \\"hi\\"', ["key"], 'say "hi"'],
    ["key=a=b", ["key"], "a=b"],
    ['key="', ["key"], '"'],
  ] as const)
    it(`reads ${JSON.stringify(text)}`, () => {
      expect(parseOverride(text)).to.deep.equal({ path, value });
    });

  for (const [text, message] of [
    ["key", /^expected key=value/],
    ["", /^expected key=value/],
    ["=value", /^the key is empty/],
    ["name=", /^the value is empty/],
    ['name=""', /^the value is empty/],
    ["a..b=1", /^the key "a\.\.b" has an empty part/],
  ] as const)
    it(`refuses ${JSON.stringify(text)} and names it`, () => {
      expect(parseOverride(text)).to.have.property("error").that.matches(message);
      const { errors } = check(MINIMAL, { overrides: [text] });
      expect(errors).to.have.length(1);
      expect(errors[0]).to.contain(`-o ${text}: `);
    });

  it("stand above the file; the last of several counts", () => {
    const { configuration, origins } = load(`${MINIMAL}logs: {level: debug}`, {
      overrides: ["logs.level=warn", "http.pool.num_workers=9", "logs.level=error"],
    });
    expect(configuration.logs.level).to.equal("error");
    expect(configuration.pools[0]!.numWorkers).to.equal(9);
    expect(origins.get("logs.level")).to.equal("-o logs.level=error");
    expect(origins.get("http.address")).to.equal(".rr.yaml:3:17");
  });

  it("make sections on the way", () => {
    const { configuration } = load('version: "3"', {
      overrides: ["server.command=php worker.php", "pools.api.supervisor.ttl=1h"],
    });
    expect(configuration.pools[0]).to.deep.include({ name: "api", command: ["php", "worker.php"] });
    expect(configuration.pools[0]!.supervisor.ttlMs).to.equal(3_600_000);
  });

  it("hold lists with commas or brackets, and maps", () => {
    const { configuration } = load(MINIMAL, {
      overrides: [
        "http.middleware=headers, gzip",
        "logs.output=[stdout, /var/log/x.log]",
        "server.command=[php, a b.php]",
        "server.env={a: 1}",
      ],
    });
    expect(configuration.http!.middleware).to.deep.equal(["headers", "gzip"]);
    expect(configuration.logs.output).to.deep.equal(["stdout", "/var/log/x.log"]);
    expect(configuration.pools[0]!.command).to.deep.equal(["php", "a b.php"]);
    expect(configuration.pools[0]!.env.A).to.equal("1");
  });

  it("hold variables", () => {
    const { configuration } = load(MINIMAL, { overrides: ["http.address=:${PORT:-81}"], env: {} });
    expect(configuration.http!.address!.port).to.equal(81);
  });

  it("keep what the file says beside them", () => {
    const { configuration } = load(`${MINIMAL}logs: {level: debug, mode: raw}`, { overrides: ["logs.level=warn"] });
    expect(configuration.logs).to.deep.include({ level: "warn", mode: "raw" });
  });

  it("are named where they are wrong", () => {
    const { errors } = check(MINIMAL, {
      overrides: ["http.adress=:80", "http.pool.num_workers=x", "version.x=1", "nonsense.key=1"],
    });
    expect(errors).to.have.members([
      '-o http.adress=:80: http.adress: unknown key "adress"; did you mean "address"?',
      '-o http.pool.num_workers=x: http.pool.num_workers: expected a whole number from 0 to 10000, got "x"',
      '-o version.x=1: version: it is no section: there is "3"',
      '-o nonsense.key=1: nonsense: unknown key "nonsense"; known here: version, server, rpc, control, http, pools, logs, endure, include, envfile, fileserver, status, reload',
    ]);
  });

  it("may set the version of a file without one", () => {
    load(MINIMAL.replace(/^version.*\n/, ""), { overrides: ["version=3"] });
  });
});
