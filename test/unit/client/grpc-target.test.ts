import { expect } from "chai";
import { grpcTarget } from "../../../src/client/core-client.ts";

describe("grpcTarget", () => {
  for (const [address, target] of [
    ["tcp://127.0.0.1:6002", "127.0.0.1:6002"],
    ["127.0.0.1:6002", "127.0.0.1:6002"],
    ["tcp://[::1]:6002", "[::1]:6002"],
    ["unix:///run/core.sock", "unix:///run/core.sock"],
    ["unix:/run/core.sock", "unix:///run/core.sock"],
  ] as const)
    it(`of ${address} is ${target}`, () => {
      expect(grpcTarget(address)).to.equal(target);
    });
});
