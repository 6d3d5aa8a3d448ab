import { expect } from "chai";
import { descriptorsMax, type StartFacts, startWarnings } from "../../../src/process/start-warnings.ts";

describe("warnings at the start", () => {
  const facts: StartFacts = {
    uid: 1000,
    pools: [{ name: "http", uid: undefined, workers: 4 }],
    connectionsMax: 0,
    descriptorsMax: 100_000,
  };
  const pool = (uid: number | undefined, workers = 4) => ({ name: "http", uid, workers });

  it("are none where all is well", () => {
    expect(startWarnings(facts)).to.deep.equal([]);
    expect(startWarnings({ ...facts, uid: 0, pools: [pool(33)] }), "workers are somebody else").to.deep.equal([]);
    expect(startWarnings({ ...facts, uid: undefined, descriptorsMax: undefined })).to.deep.equal([]);
  });

  for (const [what, uid, ofPool] of [
    ["because the server does", 0, undefined],
    ["because it is configured", 0, 0],
  ] as const)
    it(`name pools whose PHP runs as root, ${what}`, () => {
      const [warning, ...more] = startWarnings({ ...facts, uid, pools: [pool(ofPool)] });
      expect(warning).to.contain('pool "http"').and.contain("server.user");
      expect(more).to.deep.equal([]);
    });

  it("name the file descriptors that workers or connections need", () => {
    expect(startWarnings({ ...facts, descriptorsMax: 1024 })[0]).to.match(
      /1024 connections need about 1088: .*LimitNOFILE/,
    );
    expect(startWarnings({ ...facts, descriptorsMax: 256, connectionsMax: 100 })).to.deep.equal([]);
    const many = startWarnings({ ...facts, pools: [pool(undefined, 500)], descriptorsMax: 1500 });
    expect(many[0]).to.contain("500 workers need about 2064");
  });

  it("know the limit of this process", function () {
    if (process.platform !== "linux") return this.skip();
    expect(descriptorsMax()).to.be.greaterThan(100);
  });
});
