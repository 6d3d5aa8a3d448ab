import { expect } from "chai";
import { respawnDelayMs } from "../../../src/pool/respawn.ts";

describe("respawnDelayMs", () => {
  it("is nothing at first, then doubles, then stays", () => {
    expect([0, 1, 2, 3, 4].map(respawnDelayMs)).to.deep.equal([0, 100, 200, 400, 800]);
    expect([9, 10, 11, 100, 1e9].map(respawnDelayMs)).to.deep.equal([25_600, 30_000, 30_000, 30_000, 30_000]);
  });
});
