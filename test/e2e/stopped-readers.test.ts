import { expect } from "chai";
import { needsPhp, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";
import { disturbance, readsLater, STOPPERS, warmUp } from "../support/stopped-readers.ts";

/** The same with more of them: npm run test:readers. */
const COUNT = 200;

describe("Readers that stop", function () {
  this.timeout(60_000);
  let server: ServerProcess;
  before(async function () {
    if (process.platform !== "linux") return skip(this, "memory of other processes is read from /proc");
    needsPhp(this);
    server = await ServerProcess.start({
      pool: { num_workers: 4, stop_grace: "500ms" },
      http: { http2: { h2c: true } },
      logs: { level: "info" },
    });
    await warmUp(server);
  });
  after(stopServers);

  for (const [what, stopper] of Object.entries(STOPPERS))
    it(`cost little memory and disturb nobody: ${what}`, async () => {
      const seen = await disturbance(server, stopper, { count: COUNT, forMs: 2_000 });
      expect(seen.failed, "requests of others that failed").to.equal(0);
      expect(seen.answered).to.be.above(0);
      // Generous, since machines that run tests have other things to do; a pool that is held up takes far longer.
      expect(seen.longestMs).to.be.below(8_000);
      expect(seen.coreMebibytes, "the core").to.be.below(64);
      expect(seen.frontendMebibytes, "the frontend").to.be.below(64);
      await server.whole();
      expect(await readsLater(server)).to.equal(true);
    });
});
