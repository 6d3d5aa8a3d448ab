import { expect } from "chai";
import { coreAddresses } from "../../../cli/commands/frontend.ts";
import { RrError } from "../../../src/errors.ts";

describe("rrctl frontend --core", () => {
  it("takes addresses one by one and in lists", () => {
    expect(coreAddresses(["10.0.0.5:6002, 10.0.0.6:6002", "unix://run/core.sock", ":6002,"], "/app")).to.deep.equal([
      "tcp://10.0.0.5:6002",
      "tcp://10.0.0.6:6002",
      "unix:///app/run/core.sock",
      "tcp://127.0.0.1:6002",
    ]);
  });

  for (const [given, message] of [
    ["10.0.0.5", 'address "10.0.0.5": expected tcp://host:port'],
    [" , ", "--core: expected addresses such as"],
    ["a:1,b:2,tcp://a:1", "tcp://a:1 stands there twice"],
  ] as const)
    it(`refuses "${given}"`, () => {
      expect(() => coreAddresses([given], "/app")).to.throw(RrError, message);
    });
});
