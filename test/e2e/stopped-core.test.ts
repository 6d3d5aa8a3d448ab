import { expect } from "chai";
import { connectCore } from "../../src/client/core-client.ts";
import { within } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { needsPhp, needsTime, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

describe("A core that hangs", function () {
  this.timeout(60_000);
  before(function () {
    if (process.platform === "win32") return skip(this, "there are no such signals");
    needsPhp(this);
    needsTime(this, 20);
  });
  after(stopServers);

  it("is given up in bounded time, by frontends and clients, and serves when it goes on", async () => {
    const server = await ServerProcess.start({ logs: { level: "info" } });
    const { client } = server;
    await client.stats.getStats({});
    process.kill(server.pid, "SIGSTOP");
    try {
      const startedMs = performance.now();
      const unary = client.dispatch.dispatch({ pool: "http", payload: { body: Buffer.from("x") } }).then(
        () => "answered",
        ({ reason }: { reason: string }) => reason,
      );
      const late = connectCore(server.controlAddress);
      const first = late.stats.getStats({}).then(
        () => "answered",
        ({ reason }: { reason: string }) => reason,
      );
      const [{ status }, reason, firstReason] = await within(
        40_000,
        "everybody was answered",
        Promise.all([send(`${server.httpUrl}/echo?x`, { method: "POST", body: "x" }), unary, first]),
      );
      late.close();
      expect(status).to.equal(503);
      expect([reason, firstReason]).to.deep.equal(["UNAVAILABLE", "UNAVAILABLE"]);
      expect(performance.now() - startedMs).to.be.below(40_000);
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
    for (let attempt = 0; ; attempt++) {
      const { status, body } = await send(`${server.httpUrl}/echo?on`);
      if (status === 200) {
        expect(body).to.equal("on");
        break;
      }
      expect(attempt).to.be.below(50);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
});
