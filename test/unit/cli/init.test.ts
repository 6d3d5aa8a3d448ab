import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "chai";
import { parse } from "yaml";
import { planInit } from "../../../cli/init/plan.ts";
import { readProject } from "../../../cli/init/project.ts";
import { phpString } from "../../../cli/init/templates.ts";
import { packageDirectory } from "../../../cli/package-directory.ts";
import { runProgram } from "../../../cli/program.ts";
import { loadConfiguration } from "../../../src/config/load.ts";
import { memoryTerminal } from "./memory-terminal.ts";

describe("cli init", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "rrctl-init-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  /** Makes a project of files; a list as composer packages makes an installed.json or composer.json of them. */
  async function project(files: Record<string, string>, packages: { installed?: string[]; required?: string[] } = {}) {
    const all = { ...files };
    if (packages.installed)
      all["vendor/composer/installed.json"] = JSON.stringify({
        packages: packages.installed.map((name) => ({ name })),
      });
    if (packages.required)
      all["composer.json"] = JSON.stringify({
        require: Object.fromEntries(packages.required.map((name) => [name, "*"])),
      });
    for (const [path, text] of Object.entries(all)) {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      await writeFile(join(directory, path), text);
    }
    return planInit(await readProject(directory), "/opt/rrctl/php");
  }

  const configurationOf = (plan: Awaited<ReturnType<typeof project>>) => parse(plan.files.get(".rr.yaml")!);

  it("gives an empty directory a plain worker with the library of this package", async () => {
    const plan = await project({});
    expect([...plan.files.keys()]).to.deep.equal(["worker.php", ".rr.yaml"]);
    expect(plan.files.get("worker.php")).to.contain("require '/opt/rrctl/php/autoload.php';");
    expect(configurationOf(plan).server.command).to.equal("php worker.php");
    expect(plan.before).to.deep.equal([]);
  });

  it("uses the library of vendor/ where it is installed", async () => {
    const plan = await project({}, { installed: ["rrctl/worker"] });
    expect(plan.files.get("worker.php")).to.contain("/vendor/autoload.php").and.not.contain("/opt/rrctl");
  });

  it("writes a PSR-7 worker where the official packages are installed", async () => {
    const packages = ["spiral/roadrunner-worker", "spiral/roadrunner-http", "nyholm/psr7"];
    const plan = await project({}, { installed: packages, required: packages });
    expect(plan.files.get("psr-worker.php")).to.contain("Spiral\\RoadRunner\\Http\\PSR7Worker");
    expect(plan.before).to.deep.equal([]);
  });

  it("asks for composer install where they are only required", async () => {
    const plan = await project({}, { required: ["spiral/roadrunner-worker", "spiral/roadrunner-http", "Nyholm/PSR7"] });
    expect(plan.before).to.deep.equal(["composer install"]);
  });

  it("leaves a worker that is there alone and starts it", async () => {
    const plan = await project({ "psr-worker.php": "<?php while ($request = $psr7->waitRequest()) {}" });
    expect([...plan.files.keys()]).to.deep.equal([".rr.yaml"]);
    expect(configurationOf(plan).server.command).to.equal("php psr-worker.php");
  });

  it("runs a site of plain scripts", async () => {
    const site = await project({ "public/index.php": "<?php echo 1;" });
    expect(site.files.get("worker.php")).to.contain("GlobalsWorker::serve(__DIR__ . '/public');");
    await rm(join(directory, "public"), { recursive: true });
    const script = await project({ "index.php": "<?php echo 1;" });
    expect(script.files.get("worker.php")).to.contain("require __DIR__ . '/index.php';");
  });

  const bridges: [framework: string, bridge: string, command: string, variable: string | undefined][] = [
    ["laravel/framework", "laravel/octane", "php vendor/bin/roadrunner-worker", "APP_BASE_PATH"],
    ["laravel/framework", "roadrunner-php/laravel-bridge", "php vendor/bin/rr-worker start", undefined],
    ["symfony/framework-bundle", "baldinof/roadrunner-bundle", "php public/index.php", "APP_RUNTIME"],
    ["symfony/framework-bundle", "runtime/roadrunner-symfony-nyholm", "php public/index.php", "APP_RUNTIME"],
    ["spiral/framework", "spiral/roadrunner-bridge", "php app.php", undefined],
  ];
  for (const [framework, bridge, command, variable] of bridges)
    it(`starts ${framework} by ${bridge}`, async () => {
      const plan = await project({ "public/index.php": "<?php" }, { installed: [framework, bridge] });
      const { server } = configurationOf(plan);
      expect(server.command).to.equal(command);
      expect(Object.keys(server.env ?? {})).to.include.members(variable === undefined ? [] : [variable]);
      expect(plan.before).to.deep.equal([]);
      expect([...plan.files.keys()]).to.deep.equal([".rr.yaml"]);
    });

  it("says which package a framework still needs", async () => {
    const plan = await project({}, { installed: ["laravel/framework"] });
    expect(plan.before[0]).to.match(/^composer require laravel\/octane/);
  });

  it("takes no harm from a broken composer.json", async () => {
    expect((await project({ "composer.json": "{ nonsense" })).kind).to.equal("a new worker");
  });

  it("quotes any path for PHP", function () {
    this.timeout(10_000);
    const path = "/it's a \\ path/$x";
    const { status, stdout } = spawnSync("php", ["-r", `echo ${phpString(path)};`], { encoding: "utf8" });
    if (status === null) {
      console.log("      skipped: php is not installed, so what it makes of the quotes cannot be seen");
      return this.skip();
    }
    expect(stdout).to.equal(path);
  });

  it("writes configurations that load, and workers that PHP can parse", async function () {
    this.timeout(30_000);
    const hasPhp = spawnSync("php", ["--version"]).status === 0;
    if (!hasPhp) console.log("      php is not installed: the workers are not checked");
    const projects: [Record<string, string>, string[]][] = [
      [{}, []],
      [{ "index.php": "<?php" }, []],
      [{ "public/index.php": "<?php" }, []],
      [{}, ["spiral/roadrunner-worker", "spiral/roadrunner-http", "nyholm/psr7"]],
      [{}, ["laravel/framework", "laravel/octane"]],
    ];
    for (const [files, installed] of projects) {
      const plan = await project(files, { installed });
      for (const [path, text] of plan.files) {
        await writeFile(join(directory, path), text);
        if (hasPhp && path.endsWith(".php")) execFileSync("php", ["-l", join(directory, path)], { stdio: "pipe" });
      }
      const { warnings } = await loadConfiguration({ cwd: directory, env: {} });
      expect(warnings, plan.kind).to.deep.equal([]);
      for (const entry of await readdir(directory)) await rm(join(directory, entry), { recursive: true });
    }
  });

  describe("command", () => {
    async function init(...argv: string[]) {
      const terminal = memoryTerminal();
      const exitCode = await runProgram(["init", ...argv], {
        version: "1.2.3",
        cwd: directory,
        env: {},
        terminal,
        interruption: () => new AbortController().signal,
      });
      return { exitCode, out: terminal.out, err: terminal.err };
    }

    it("writes the files and says what comes next", async () => {
      const { exitCode, out } = await init();
      expect(exitCode).to.equal(0);
      expect(out).to.contain("  worker.php\n  .rr.yaml\n").and.contain("  rrctl serve\n");
      expect(await readdir(directory)).to.have.members([".rr.yaml", "worker.php"]);
      expect(await readFile(join(directory, "worker.php"), "utf8")).to.contain(packageDirectory());
    });

    it("overwrites nothing without --force, and then writes nothing at all", async () => {
      await writeFile(join(directory, ".rr.yaml"), "mine");
      const refused = await init();
      expect(refused.exitCode).to.equal(1);
      expect(refused.err).to.contain(".rr.yaml already in").and.contain("--force");
      expect(await readdir(directory)).to.deep.equal([".rr.yaml"]);
      expect(await readFile(join(directory, ".rr.yaml"), "utf8")).to.equal("mine");

      expect((await init("--force")).exitCode).to.equal(0);
      expect(await readFile(join(directory, ".rr.yaml"), "utf8")).to.contain('version: "3"');
    });

    it("ends a dry run as the run would end", async () => {
      await writeFile(join(directory, ".rr.yaml"), "mine");
      const dry = await init("--dry-run");
      expect(dry.exitCode).to.equal(1);
      expect(dry.err).to.contain(".rr.yaml already in").and.contain("nothing would be written");
      expect(dry.out).to.contain("--- .rr.yaml");
      expect((await init("--dry-run", "--force")).exitCode).to.equal(0);
    });

    it("writes nothing with --dry-run and shows it all", async () => {
      const { exitCode, out } = await init("--dry-run", "-o", "json");
      expect(exitCode).to.equal(0);
      const { files, next, dry_run } = JSON.parse(out);
      expect(files.map((file: { path: string }) => file.path)).to.deep.equal(["worker.php", ".rr.yaml"]);
      expect([next, dry_run]).to.deep.equal([["rrctl serve"], true]);
      expect(await readdir(directory)).to.deep.equal([]);
    });
  });
});
