import { spawn, spawnSync } from "node:child_process";
import { expect } from "chai";
import { send } from "../support/http-load.ts";
import { needsPhp, needsTime, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const CONNECTIONS = 300;
const SECONDS = 8;

/**
 * The attacks of slowhttptest, a public tool. While they last it asks for a page on a connection of its own, and says
 * whether the server still answered.
 */
describe("Attacks by slowhttptest", function () {
  this.timeout(60_000);
  let server: ServerProcess;

  before(async function () {
    needsPhp(this);
    needsTime(this, 25);
    if (spawnSync("slowhttptest", ["-h"]).error) return skip(this, "slowhttptest is not installed");
    server = await ServerProcess.start({
      http: { header_timeout: "2s", body_idle_timeout: "2s", write_idle_timeout: "2s" },
      pool: { num_workers: 2 },
      logs: { level: "warn" },
    });
  });
  after(stopServers);

  function attack(...args: string[]): Promise<{ exitCode: number | null; out: string }> {
    const common = ["-c", String(CONNECTIONS), "-r", String(CONNECTIONS), "-l", String(SECONDS), "-p", "3"];
    const child = spawn("slowhttptest", [...args, ...common], { stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (out += chunk));
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exitCode) => resolve({ exitCode, out }));
    });
  }

  const path = () => `${server.httpUrl}/large?1000`;
  for (const [name, ...args] of [
    ["heads that never end (slowloris)", "-H", "-i", "1", "-x", "24"],
    ["bodies that never end (slow POST)", "-B", "-i", "1", "-x", "10", "-s", "8192"],
    ["clients that hardly read (slow read)", "-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "3"],
    ["ranges by the hundred (Apache killer)", "-R", "-a", "5", "-b", "3000", "-t", "HEAD"],
  ])
    it(`${name}: others are served, and no worker is lost`, async () => {
      const { out } = await attack(...args, "-u", path());
      expect(out).to.match(/service available:\S*\s+\S*YES/);
      expect(out, out.slice(-2000)).to.not.match(/service available:\S*\s+\S*NO\b/);
      expect((await send(`${server.httpUrl}/pid`)).status).to.equal(200);
      await server.whole();
    });
});
