import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { HttpLoad } from "../support/http-load.ts";
import { needsPhp, phpFixture } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

for (const polling of [false, true])
  describe(`reload of changed files, ${polling ? "polling" : "native"}`, function () {
    this.timeout(60_000);
    let directory: string;
    let server: ServerProcess;
    const worker = `<?php require ${JSON.stringify(phpFixture("worker.php"))};\n`;
    /** In one step, as editors do it: nobody reads half a file. */
    const write = (name: string, text: string) => {
      writeFileSync(join(directory, "new"), text);
      renameSync(join(directory, "new"), join(directory, name));
    };
    const generation = async () => (await server.pool()).generation;

    before(async function () {
      needsPhp(this);
      directory = mkdtempSync(join(tmpdir(), "rr-reload-"));
      write("app.php", worker);
      write(".gitignore", "ignored.php\n");
      server = await ServerProcess.start({
        command: ["php", join(directory, "app.php")],
        reload: { interval: "50ms", dirs: [directory], ignore: ["ignored.php"], polling },
      });
    });
    after(async () => {
      await stopServers();
      rmSync(directory, { recursive: true, force: true });
    });

    it("swaps without a failed request, keeps the old code after a parse error, heals", async () => {
      const load = new HttpLoad(`${server.httpUrl}/pid`, 16);
      await eventually("it was loaded", () => load.responses > 100);
      write("ignored.php", "<?php");
      write("style.css", "");
      write("app.php", `${worker}// two\n`);
      await eventually("it was reset", async () => (await generation()) === 2);
      write("app.php", "<?php this is no PHP");
      const [failed] = await eventually("it failed", async () => {
        const events = await server.events("reload.failed");
        return events.length > 0 && events;
      });
      expect(failed!.message).to.contain("app.php").and.to.contain("syntax error");
      expect(await server.logLine(({ event }) => event === "reload.failed")).to.include({ level: "error" });
      const { responses } = load;
      await eventually("the old code went on", () => load.responses > responses + 100);
      write("app.php", `${worker}// three\n`);
      await eventually("it was reset again", async () => (await generation()) === 3);
      const { statuses, failures } = await load.end();
      expect(failures).to.deep.equal([]);
      expect([...statuses.keys()]).to.deep.equal([200]);
      const files = (await server.events("reload.changed")).map(({ attributes }) => attributes.files);
      expect(files.join()).to.not.match(/ignored|css/);
    });

    if (!polling)
      it("resets 50 times under load without a failed request", async () => {
        const load = new HttpLoad(`${server.httpUrl}/pid`, 16);
        const first = await generation();
        for (let round = 1; round <= 50; round++) {
          write("app.php", `${worker}// round ${round}\n`);
          await eventually(`reset ${round} came`, async () => (await generation()) >= first + round);
        }
        const { statuses, failures } = await load.end();
        expect(failures).to.deep.equal([]);
        expect([...statuses.keys()]).to.deep.equal([200]);
      });
  });
