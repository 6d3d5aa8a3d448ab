import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { send } from "../support/http-load.ts";
import { blocksOf } from "../support/markdown.ts";
import { needsPhp, phpFixture, ROOT, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

/** Ports of the system's choice, whatever the file says. */
const FREE_PORTS = ["-o", "http.address=127.0.0.1:0", "-o", "control.listen=tcp://127.0.0.1:0"];
const AUTOLOAD = `require ${JSON.stringify(join(ROOT, "php/autoload.php"))};\n`;

/** The block of a page that has this text in it. */
function blockWith(page: string, language: string, text: string): string {
  const found = blocksOf(page).filter((block) => block.language === language && block.text.includes(text));
  if (found.length !== 1) throw new Error(`${found.length} blocks of ${page} have "${text}"`);
  return found[0]!.text;
}

/** The code and configurations that the documentation shows, run as they are. test/readme.test.ts runs its commands. */
describe("Examples of the documentation", function () {
  this.timeout(60_000);
  let directory: string;

  before(function () {
    needsPhp(this);
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-test-example-"));
    // Composer's file: what is shown requires it.
    mkdirSync(join(directory, "vendor"));
    writeFileSync(join(directory, "vendor/autoload.php"), `<?php\n${AUTOLOAD}`);
  });
  afterEach(async () => {
    await stopServers();
    rmSync(directory, { recursive: true });
  });

  const serveFile = (path: string, ...more: string[]) => ServerProcess.start({}, ["-c", path, ...FREE_PORTS, ...more]);

  it("README.md: the smallest application", async () => {
    writeFileSync(join(directory, ".rr.yaml"), blockWith("README.md", "yaml", "# .rr.yaml"));
    writeFileSync(join(directory, "worker.php"), blockWith("README.md", "php", "// worker.php"));
    const server = await serveFile(join(directory, ".rr.yaml"));
    expect(await server.pids()).to.have.length(4);
    const { status, headers, body } = await send(server.httpUrl);
    expect([status, headers["content-type"]]).to.deep.equal([200, "text/plain"]);
    expect(await server.pids()).to.include(Number(/^Hello from worker (\d+)\n$/.exec(body)?.[1]));
  });

  /** Code of php/README.md as a script, with what it takes for granted before it. */
  function script(needle: string, before = "", autoload = AUTOLOAD): string {
    const block = blockWith("php/README.md", "php", needle);
    // `use` has to stand before all code but declarations; functions may stand anywhere.
    const [, uses, rest] = /^((?:use .*\n|\n)*)([\s\S]*)$/.exec(block)!;
    const path = join(directory, "worker.php");
    writeFileSync(path, `<?php\n${uses}${autoload}${before}${rest}`);
    return path;
  }

  it("php/README.md: HttpWorker", async () => {
    const ticks = 'function ticks() { yield "tick 1\\n"; yield "tick 2\\n"; }\n';
    const server = await ServerProcess.start({ command: ["php", script("HttpWorker::create()", ticks)] });
    const { headers, body } = await send(`${server.httpUrl}/?name=Zoe`);
    expect([headers["x-many"], body]).to.deep.equal(["a, b", "Hello Zoe\n"]);
    expect((await send(`${server.httpUrl}/ticks`)).body).to.equal("tick 1\ntick 2\n");
  });

  it("php/README.md: PSR-7", async function () {
    const autoload = process.env.PSR7_AUTOLOAD;
    if (!autoload) return skip(this, "PSR7_AUTOLOAD does not name the autoloader of PSR-7 packages");
    const application = `$application = new class {
      function handle($request) { return new Nyholm\\Psr7\\Response(200, [], $request->getMethod()); }
    };\n`;
    const path = script("Psr7Worker::create()", application, `${AUTOLOAD}require ${JSON.stringify(autoload)};\n`);
    const server = await ServerProcess.start({ command: ["php", path] });
    expect((await send(server.httpUrl, { method: "PUT" })).body).to.equal("PUT");
  });

  it("php/README.md: plain scripts", async () => {
    mkdirSync(join(directory, "public"));
    writeFileSync(join(directory, "public/index.php"), '<?php header("X-A: b"); echo "Hello {$_GET[\'name\']}";');
    const server = await ServerProcess.start({ command: ["php", script("GlobalsWorker::serve", "", "")] });
    const { headers, body } = await send(`${server.httpUrl}/?name=Zoe`);
    expect([headers["x-a"], body]).to.deep.equal(["b", "Hello Zoe"]);
  });

  it("php/README.md: raw payloads", async () => {
    const path = script("$needsRestart", "$needsRestart = false;\n");
    const server = await ServerProcess.start({
      http: null,
      pools: { raw: { command: `php ${path}`, num_workers: 1 } },
    });
    const run = (body: string) =>
      server.client.dispatch.dispatch({ pool: "raw", payload: { body: Buffer.from(body) } });
    const { payload } = await run("good");
    expect([payload!.body, payload!.context].map((bytes) => Buffer.from(bytes).toString())).to.deep.equal([
      "body",
      "context",
    ]);
    const failure = await run("bad").then(
      () => undefined,
      (error: Error) => error,
    );
    expect(failure?.message).to.contain("what went wrong");
  });

  describe("middleware of docs/middleware.md", () => {
    const modules = blocksOf("docs/middleware.md").filter(({ language }) => ["js", "ts"].includes(language));

    it("is shown in three modules", () => {
      expect(modules).to.have.length(3);
    });

    for (const { text } of modules) {
      const name = /^\/\/ (middleware\/\S+)\n/.exec(text)?.[1] ?? "";
      it(name, async () => {
        mkdirSync(join(directory, "middleware"));
        // As if Hono were installed there.
        mkdirSync(join(directory, "node_modules"));
        cpSync(join(ROOT, "node_modules/hono"), join(directory, "node_modules/hono"), { recursive: true });
        writeFileSync(join(directory, name), text);
        const server = await ServerProcess.start({
          command: ["php", phpFixture("mirror.php")],
          http: { middleware: [join(directory, name)] },
        });
        const { status, headers, body } = await send(`${server.httpUrl}/path`);
        expect(status, body).to.equal(200);
        if (name.endsWith("token.mjs")) expect(headers).to.include({ "x-served-for": "nobody" });
        if (name.endsWith("secure.mjs")) expect(headers).to.include({ "x-content-type-options": "nosniff" });
        await server.stop();
      });
    }

    it("token.mjs is that of the example, which the commands of the page run against", () => {
      const code = (text: string) => text.replace(/^ *\/\/.*\n/gm, "").trim();
      const example = readFileSync(join(ROOT, "examples/middleware/middleware/token.mjs"), "utf8");
      expect(code(modules[0]!.text)).to.equal(code(example));
    });
  });

  describe("examples/", () => {
    const directories = readdirSync(join(ROOT, "examples"), { withFileTypes: true }).filter(
      (entry) => entry.isDirectory() && readdirSync(join(ROOT, "examples", entry.name)).includes(".rr.yaml"),
    );

    it("has some", () => {
      expect(directories).to.have.length.above(5);
    });

    for (const { name } of directories)
      it(`${name} serves`, async () => {
        const path = join(ROOT, "examples", name, ".rr.yaml");
        const text = readFileSync(path, "utf8");
        const more = ["-o", `server.relay=unix://${join(directory, "rr.sock")}`];
        if (!/relay: unix/.test(text)) more.length = 0;
        if (/^fileserver:/m.test(text)) more.push("-o", "fileserver.address=127.0.0.1:0");
        if (/^http:/m.test(text)) {
          const server = await serveFile(path, ...more);
          expect((await send(`${server.httpUrl}/`)).status).to.equal(200);
          return;
        }
        const server = await ServerProcess.start({}, ["-c", path, "-o", "control.listen=tcp://127.0.0.1:0"]);
        const { payload } = await server.client.dispatch.dispatch({
          pool: "fast",
          payload: { body: Buffer.from("hello") },
        });
        expect(Buffer.from(payload!.body).toString()).to.equal("hello");
      });

    it("is listed in its README.md as a whole", () => {
      const page = readFileSync(join(ROOT, "examples/README.md"), "utf8");
      const all = readdirSync(join(ROOT, "examples"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
      expect(all.map(({ name }) => name).filter((name) => !page.includes(`](${name}`))).to.deep.equal([]);
    });
  });

  it("docs/tls.md: nginx understands its configuration", function () {
    if (spawnSync("nginx", ["-v"]).status !== 0) return skip(this, "nginx is not installed");
    const site = blockWith("docs/tls.md", "nginx", "fastcgi_pass")
      .replace("unix:/run/rr/fcgi.sock", `unix:${directory}/fcgi.sock`)
      .replace("server {\n", "server {\n  listen 127.0.0.1:1;\n");
    writeFileSync(join(directory, "fastcgi_params"), "fastcgi_param REQUEST_METHOD $request_method;\n");
    const paths = `pid ${directory}/nginx.pid; error_log stderr;`;
    writeFileSync(join(directory, "nginx.conf"), `${paths}\nevents {}\nhttp {\naccess_log off;\n${site}}\n`);
    const { status, stderr } = spawnSync("nginx", ["-t", "-c", join(directory, "nginx.conf"), "-p", directory], {
      encoding: "utf8",
    });
    expect(status, stderr).to.equal(0);
  });
});
