import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { parse } from "yaml";
import { eventually } from "../support/eventually.ts";
import { HttpLoad, send } from "../support/http-load.ts";
import { needsPhp, needsTime, phpFixture, ROOT, skip } from "../support/php.ts";
import { type ServerConfig, ServerProcess, stopServers } from "../support/server-process.ts";
import { rrctl } from "./cli-server.ts";

/** A folder of its own with a worker in it, and changes of its files. */
class Application {
  readonly directory = mkdtempSync(join(tmpdir(), "rr-reload-"));
  readonly command = ["php", join(this.directory, "app.php")];

  constructor() {
    this.write("app.php", WORKER);
  }

  /** In one step, as editors do it: nobody reads half a file. */
  write(name: string, text: string): void {
    const path = join(this.directory, name);
    mkdirSync(dirname(path), { recursive: true });
    const draft = mkdtempSync(join(tmpdir(), "rr-draft-"));
    writeFileSync(join(draft, "file"), text);
    renameSync(join(draft, "file"), path);
    rmSync(draft, { recursive: true });
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const WORKER = `<?php require ${JSON.stringify(phpFixture("worker.php"))};\n`;
const BROKEN = "<?php this is no PHP\n";

/** Files by reset, in their order. */
async function changes(server: ServerProcess): Promise<string[]> {
  return (await server.events("reload.done")).map(({ attributes }) => attributes.files!);
}

for (const polling of [false, true])
  describe(`reload of changed files, ${polling ? "polling" : "native"}`, function () {
    this.timeout(60_000);
    let application: Application;
    let server: ServerProcess;
    const generation = async () => (await server.pool()).generation;

    before(async function () {
      needsPhp(this);
      application = new Application();
      const { command, directory } = application;
      const reload = { interval: "50ms", dirs: [directory], ignore: ["ignored.php"], polling };
      server = await ServerProcess.start({ command, reload });
    });
    after(async () => {
      await stopServers();
      application?.remove();
    });

    it("swaps without a failed request, keeps the old code after a parse error, heals", async () => {
      const load = new HttpLoad(`${server.httpUrl}/pid`, 16);
      await eventually("it was loaded", () => load.responses > 100);
      application.write("ignored.php", "<?php");
      application.write("style.css", "");
      application.write("app.php", `${WORKER}// two\n`);
      await eventually("it was reset", async () => (await generation()) === 2);
      application.write("app.php", BROKEN);
      const [failed] = await eventually("it failed", async () => {
        const events = await server.events("reload.failed");
        return events.length > 0 && events;
      });
      expect(failed!.message).to.contain("app.php").and.to.contain("syntax error");
      expect(await server.logLine(({ event }) => event === "reload.failed")).to.include({ level: "error" });
      const { responses } = load;
      await eventually("the old code went on", () => load.responses > responses + 100);
      application.write("app.php", `${WORKER}// three\n`);
      await eventually("it was reset again", async () => (await generation()) === 3);
      const { statuses, failures } = await load.end();
      expect(failures).to.deep.equal([]);
      expect([...statuses.keys()]).to.deep.equal([200]);
      const files = (await server.events("reload.changed")).map(({ attributes }) => attributes.files);
      expect(files.join()).to.not.match(/ignored|css/);
    });
  });

describe("reload", function () {
  this.timeout(60_000);
  let application: Application;
  let server: ServerProcess;
  const started = async (reload: Record<string, unknown>, more: ServerConfig = {}, under: string[] = []) => {
    const { command, directory } = application;
    server = await ServerProcess.start(
      { command, reload: { interval: "50ms", dirs: [directory], ...reload }, ...more },
      [],
      under,
    );
  };

  before(function () {
    needsPhp(this);
  });
  beforeEach(() => {
    application = new Application();
  });
  afterEach(async () => {
    await stopServers();
    application.remove();
  });

  it("looks at the files where the system has no more handles to watch them", async function () {
    // Limits of a namespace of its own: nobody else is short of handles.
    const script = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"';
    const under = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"];
    const [program, ...words] = [...under, "true"];
    if (spawnSync(program!, words).status !== 0)
      return skip(this, "handles cannot be limited here: that takes Linux and the right to a user namespace");
    await started({}, {}, under);
    const line = await server.logLine(({ event }) => event === "reload.polling");
    expect(line.level).to.equal("warn");
    expect(line.msg).to.match(/^files are looked at every 50 ms: .*EMFILE/);
    const [watching] = await eventually("it watched", async () => {
      const events = await server.events("reload.watching");
      return events.length > 0 && events;
    });
    expect(watching!.message).to.match(/ by polling$/);
    expect(await server.events("reload.polling")).to.have.length(1);
    application.write("app.php", `${WORKER}// two\n`);
    await eventually("it was reset", async () => (await changes(server)).join() !== "");
  });

  it("says which folder is not there, and watches it once it is, again and again", async () => {
    const late = join(application.directory, "not/yet");
    application.write("src/one.php", "<?php");
    await started({ dirs: [join(application.directory, "src"), late] });
    const line = await server.logLine(({ event }) => event === "reload.missing");
    expect(line).to.include({
      level: "warn",
      msg: `reload.dirs: ${late} is not there; it is watched as soon as it is`,
    });
    const resetsFor = async (file: string) => (await changes(server)).filter((files) => files.includes(file)).length;
    for (const round of [1, 2]) {
      application.write(`not/yet/first-${round}.php`, "<?php");
      await eventually("the files in it counted", async () => (await resetsFor(`first-${round}`)) > 0);
      application.write(`not/yet/second-${round}.php`, "<?php");
      await eventually("what came then counted", async () => (await resetsFor(`second-${round}`)) > 0);
      const resets = await resetsFor(`first-${round}`);
      rmSync(join(application.directory, "not"), { recursive: true });
      await eventually("it was missed", async () => (await server.events("reload.missing")).length === round + 1);
      await eventually("its end counted", async () => (await resetsFor(`first-${round}`)) > resets);
    }
    expect((await changes(server)).every((files) => files.includes("not/yet/"))).to.equal(true);
    application.write("src/one.php", "<?php // two");
    await eventually("the others are watched still", async () => (await resetsFor("src/one.php")) > 0);
  });

  it("follows a link that a deployment turns", async () => {
    for (const release of ["one", "two"]) application.write(`releases/${release}/app.php`, WORKER);
    const current = join(application.directory, "current");
    const turnTo = (release: string) => {
      symlinkSync(join(application.directory, "releases", release), `${current}.new`);
      renameSync(`${current}.new`, current);
    };
    turnTo("one");
    await started({ dirs: [current] });
    turnTo("two");
    await eventually("it was reset", async () => (await changes(server)).length === 1);
    application.write("releases/two/app.php", `${WORKER}// changed`);
    await eventually("a change counted", async () => (await changes(server)).length === 2);
    expect(await server.events("reload.missing")).to.deep.equal([]);
  });

  it("goes by the .gitignore of each folder", async () => {
    application.write("src/.gitignore", "/cache\n*.tmp.php\n!wanted.tmp.php\n");
    application.write("src/cache/a.php", "<?php");
    await started({});
    for (const [ignored, counted] of [
      ["src/cache/a.php", "src/b.php"],
      ["src/cache/new.php", "src/wanted.tmp.php"],
      ["src/deep/x.tmp.php", "x.tmp.php"],
    ] as const) {
      application.write(ignored, "<?php // changed");
      application.write(counted, "<?php // changed");
      await eventually(`${counted} counted`, async () => (await changes(server)).at(-1)?.endsWith(counted));
    }
    application.write("src/.gitignore", "");
    application.write("src/x.tmp.php", "<?php // changed");
    await eventually("the .gitignore of now counted", async () =>
      (await changes(server)).at(-1)?.endsWith("x.tmp.php"),
    );
    expect((await changes(server)).join()).not.to.match(/cache|deep/);
  });

  it("works with pool.debug: code is new at once, and what does not boot is the next page", async () => {
    const shown = (text: string) =>
      `<?php
require ${JSON.stringify(join(ROOT, "php/autoload.php"))};
$http = Rrctl\\Http\\HttpWorker::create();
while ($http->waitRequest()) $http->respond(200, "<p>${text}", ['Content-Type' => 'text/html']);
`;
    application.write("app.php", shown("one"));
    await started({ browser: true }, { pool: { debug: true } });
    const page = () => send(`${server.httpUrl}/`, { headers: { accept: "text/html" } });
    const scriptOf = (body: string) => /<script src="(\S+?\.js\?v=\S+?)" async><\/script>/.exec(body)?.[1];
    const first = await page();
    expect(first).to.deep.include({ status: 200 });
    expect(first.body).to.match(/^<p>one<script /);
    application.write("app.php", BROKEN);
    const broken = await page();
    expect(broken.status).to.equal(503);
    expect(broken.body).to.contain("syntax error").and.to.contain("<script src=");
    await eventually("that was noticed", async () => (await changes(server)).length === 1);
    application.write("app.php", shown("two"));
    expect((await page()).body).to.match(/^<p>two/);
    await eventually("that was noticed", async () => (await changes(server)).length === 2);
    await eventually("pages have another version", async () => scriptOf((await page()).body) !== scriptOf(broken.body));
    expect((await server.pool()).generation).to.equal(3);
  });

  it("works as docs/reload.md shows it", async () => {
    const text = readFileSync(join(ROOT, "docs/reload.md"), "utf8");
    const examples = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml]) => parse(yaml!).reload);
    expect(examples).to.have.length(3);
    for (const reload of examples) {
      server = await ServerProcess.start({ command: application.command, reload });
      const dir = join(server.directory, reload.services?.http.dirs[0] ?? reload.dirs?.[0] ?? ".");
      mkdirSync(join(dir, "storage"), { recursive: true });
      if (reload.services)
        await eventually("it was found", async () => (await server.events("reload.watching")).length > 1);
      writeFileSync(join(dir, "storage/ignored.php"), "<?php");
      writeFileSync(join(dir, "new.php"), "<?php");
      const files = await eventually("it was reset", async () => (await changes(server)).at(-1));
      expect(files).to.equal(relative(server.directory, join(dir, "new.php")));
      const script = await send(`${server.httpUrl}/.rr/reload.js`);
      expect(script.headers["content-type"] === "text/javascript; charset=utf-8").to.equal(reload.browser === true);
      await server.stop();
    }
  });

  /** A minute, as there is no other way to be sure. */
  it("50 times in 60 seconds under load fails no request; nor does a parse error, whose reason is told", async function () {
    needsTime(this, 65);
    this.timeout(120_000);
    await started({});
    const load = new HttpLoad(`${server.httpUrl}/pid`, 16);
    await eventually("it was loaded", () => load.responses > 100);
    const startedMs = performance.now();
    for (let round = 1; round <= 50; round++) {
      application.write("app.php", round === 25 ? BROKEN : `${WORKER}// round ${round}\n`);
      if (round === 25) {
        const { responses } = load;
        await eventually("it failed", async () => (await server.events("reload.failed")).length === 1);
        await eventually("the old code went on", () => load.responses > responses + 100);
        application.write("app.php", `${WORKER}// round ${round}\n`);
      }
      await eventually(`reset ${round} came`, async () => (await changes(server)).length === round);
      // What is tested is a rate: one each 1.2 s.
      await sleep(Math.max(0, startedMs + round * 1_200 - performance.now()));
    }
    const { statuses, failures, responses } = await load.end();
    expect(performance.now() - startedMs).to.be.within(59_000, 66_000);
    expect(failures).to.deep.equal([]);
    expect([...statuses]).to.deep.equal([[200, responses]]);
    expect((await server.pool()).generation).to.equal(51);
    const { exitCode, out, err } = await rrctl(
      ["events", "--type", "reload.failed", "--address", server.controlAddress],
      {
        cwd: server.directory,
      },
    );
    expect(exitCode, err).to.equal(0);
    const told = /app\.php pool "http" keeps its old code: [\s\S]*syntax error/;
    expect(out.toString())
      .to.match(/reload\.failed\s+http/)
      .and.to.match(told);
    const line = await server.logLine(({ event }) => event === "reload.failed");
    expect(line.level).to.equal("error");
    expect(line.msg).to.match(told);
  });
});
