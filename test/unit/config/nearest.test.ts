import { expect } from "chai";
import { editDistance, nearest } from "../../../src/config/nearest.ts";

const KEYS = ["num_workers", "max_jobs", "max_queue_size", "ttl", "idle_ttl", "exec_ttl", "env", "relay"];

describe("config suggestions", () => {
  for (const [one, other, distance] of [
    ["", "", 0],
    ["abc", "", 3],
    ["abc", "abc", 0],
    ["abc", "abd", 1],
    ["abc", "acb", 1],
    ["kitten", "sitting", 3],
  ] as const)
    it(`counts ${distance} from "${one}" to "${other}"`, () => {
      expect(editDistance(one, other)).to.equal(distance);
      expect(editDistance(other, one)).to.equal(distance);
    });

  for (const [word, expected] of [
    ["num_wokers", "num_workers"],
    ["numWorkers", "num_workers"],
    ["NUM-WORKERS", "num_workers"],
    ["workers", "num_workers"],
    ["queue_size", "max_queue_size"],
    ["tll", "ttl"],
    ["evn", "env"],
    ["rely", "relay"],
    ["banana", undefined],
    ["x", undefined],
    ["abc", undefined],
  ] as const)
    it(`${expected === undefined ? "has no idea of" : `takes "${expected}" for`} "${word}"`, () => {
      expect(nearest(word, KEYS)).to.equal(expected);
    });

  it("takes the one with the same letters if two are as near", () => {
    const keys = ["max_file_size", "max_field_size"];
    for (const candidates of [keys, keys.toReversed()]) {
      expect(nearest("max_filed_size", candidates)).to.equal("max_field_size");
      expect(nearest("max_fiel_size", candidates)).to.equal("max_file_size");
    }
  });
});
