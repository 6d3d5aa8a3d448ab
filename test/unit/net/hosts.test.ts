import { expect } from "chai";
import { listenAtHost } from "../../../src/net/hosts.ts";

const refusal = (code: string) => Object.assign(new Error(code), { code });

describe("listenAtHost", () => {
  for (const [host, address] of [
    ["127.0.0.1", "127.0.0.1"],
    ["::1", "::1"],
    ["0.0.0.0", "0.0.0.0"],
    ["localhost", "127.0.0.1"],
    ["", "::"],
  ] as const)
    it(`takes ${address} for ${JSON.stringify(host)}`, async () => {
      expect(await listenAtHost(host, (given) => given)).to.equal(address);
    });

  it("does with IPv4 where there is no IPv6, if no host was named", async () => {
    const attempt = (given: string) => {
      if (given === "::") throw refusal("EAFNOSUPPORT");
      return given;
    };
    expect(await listenAtHost("", attempt)).to.equal("0.0.0.0");
    const named = await listenAtHost("::", attempt).catch((error: Error) => error.message);
    expect(named).to.equal("EAFNOSUPPORT");
  });

  it("does not go on to IPv4 when the port is in use", async () => {
    const tried: string[] = [];
    const attempt = (given: string) => {
      tried.push(given);
      throw refusal("EADDRINUSE");
    };
    await listenAtHost("", attempt).catch(() => {});
    expect(tried).to.deep.equal(["::"]);
  });
});
