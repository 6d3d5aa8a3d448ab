// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the environment are written like that.
import { expect } from "chai";
import { escapeDollars, interpolate } from "../../../src/config/interpolation.ts";
import { check, load, MINIMAL } from "./support.ts";

const ENV = { HOST: "db", PORT: "5432", EMPTY: "", DOLLAR: "a$HOST", REF: "${HOST}" };

describe("config interpolation", () => {
  for (const [text, expected] of [
    ["plain", "plain"],
    ["${HOST}", "db"],
    ["$HOST", "db"],
    ["tcp://${HOST}:$PORT/x", "tcp://db:5432/x"],
    ["$HOST$PORT", "db5432"],
    ["${NONE}", ""],
    ["a${NONE}b", "ab"],
    ["${HOST:-other}", "db"],
    ["${NONE:-other}", "other"],
    ["${EMPTY:-other}", "other"],
    ["${EMPTY}", ""],
    ["${NONE:-}", ""],
    ["${NONE:-a:-b}", "a:-b"],
    ["${NONE:-${HOST}}", "db"],
    ["${NONE:-${NADA:-deep}}", "deep"],
    ["${NONE:-$HOST}", "db"],
    // RoadRunner makes all of this empty, because one of the two has a default.
    ["$NONE${NADA:-x}$HOST", "xdb"],
    ["${}", ""],
    ["a${}b", "ab"],
    ["a${HOST", "aHOST"],
    ["costs 5$", "costs 5$"],
    ["^foo$|$", "^foo$|$"],
    ["$1", "$1"],
    ["$$HOST", "$HOST"],
    ["pa$$word", "pa$word"],
    // What a variable holds is not looked at again.
    ["$DOLLAR", "a$HOST"],
    ["$REF", "${HOST}"],
  ] as const)
    it(`makes ${JSON.stringify(expected)} of ${JSON.stringify(text)}`, () => {
      expect(interpolate(text, ENV).text).to.equal(expected);
    });

  it("tells the variables that were replaced and those that are missing", () => {
    expect(interpolate("$HOST ${NONE} ${NADA:-$PORT}", ENV)).to.deep.include({
      variables: ["HOST", "NONE", "NADA", "PORT"],
      missing: ["NONE"],
    });
  });

  it("is undone by doubled dollar signs", () => {
    for (const text of ["$HOST", "${HOST}", "a$", "$$", "${"])
      expect(interpolate(escapeDollars(text), ENV).text).to.equal(text);
  });

  it("replaces after parsing: what a variable holds cannot add keys", () => {
    const { configuration } = load(`${MINIMAL}logs: {level: info, output: "$TEXT"}`, {
      env: { TEXT: "stderr}\nendure: {grace_period: 1s" },
    });
    expect(configuration.gracePeriodMs).to.equal(30_000);
  });

  it("reads numbers, durations, sizes and booleans that variables hold", () => {
    const pool = "{num_workers: $N, debug: $D, allocate_timeout: $T, supervisor: {max_worker_memory: $M}}";
    const { configuration } = load(
      `version: "$V"\nserver: {command: php worker.php}\nhttp: {address: ":$P", pool: ${pool}}`,
      { env: { V: "3", N: "7", D: "0", T: "5s", M: "64", P: "81" } },
    );
    expect(configuration.http?.address?.port).to.equal(81);
    expect(configuration.pools[0]).to.deep.include({ numWorkers: 7, debug: false, queueWaitMs: 5000 });
    expect(configuration.pools[0]!.supervisor.workerMemoryBytesMax).to.equal(64 * 1024 * 1024);
  });

  it("says which variable a wrong value came from", () => {
    const { errors } = check(`${MINIMAL}pools: {a: {num_workers: $N}}`, { env: { N: "many" } });
    expect(errors).to.deep.equal([
      ".rr.yaml:4:26: pools.a.num_workers: expected a whole number from 0 to 10000, got the value of ${N}",
    ]);
  });

  it("takes a key whose variable is empty for absent, and warns if the variable is not set", () => {
    const { loaded, errors, warnings } = check(`${MINIMAL}endure: {grace_period: $GRACE}`);
    expect(errors).to.deep.equal([]);
    expect(loaded!.configuration.gracePeriodMs).to.equal(30_000);
    expect(warnings).to.deep.equal([
      ".rr.yaml:4:24: the variable GRACE is not set and empty here; ${GRACE:-value} gives it a default",
    ]);
  });

  it("leaves keys and what is no text alone", () => {
    const { configuration } = load(
      `${MINIMAL}server: {command: php worker.php, env: {$A: 1}}`.replace(/^server.*\n/m, ""),
    );
    expect(configuration.pools[0]!.env).to.have.property("$A", "1");
  });
});
