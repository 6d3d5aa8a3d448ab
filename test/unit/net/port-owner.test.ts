import { createServer } from "node:net";
import { expect } from "chai";
import { describePortOwner } from "../../../src/net/port-owner.ts";
import { freePort } from "../../support/pool-options.ts";

describe("describePortOwner", () => {
  before(function () {
    if (process.platform !== "linux") this.skip();
  });

  it("names the process that listens", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    expect(describePortOwner(port)).to.match(new RegExp(`^ by process ${process.pid} \\(.*node`));
    await new Promise((resolve) => server.close(resolve));
  });

  it("says nothing of a port that nobody has", async () => {
    expect(describePortOwner(await freePort())).to.equal("");
  });
});
