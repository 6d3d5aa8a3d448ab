import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "chai";
import { installSet, PACKAGE_SETS } from "../compatibility/official-packages.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { MULTIPART, multipart } from "../support/multipart.ts";
import { needsPhp, phpFixture, skip } from "../support/php.ts";
import { type ServerConfig, ServerProcess, stopServers } from "../support/server-process.ts";

/** What applications do with files that came: they take them away. */
describe("Uploads that PHP moves", function () {
  this.timeout(60_000);
  const content = randomBytes(200_000);
  const form = multipart(
    { name: "title", content: "Zoë" },
    { name: "photo", fileName: "me.jpg", type: "image/jpeg", content },
    { name: "script", fileName: "shell.php", type: "text/plain", content: "<?php" },
    { name: "none", fileName: "", type: "application/octet-stream", content: "" },
  );
  let target: string;

  before(function () {
    needsPhp(this);
    target = mkdtempSync(join(tmpdir(), "rr-test-moved-"));
  });
  afterEach(stopServers);
  after(() => {
    if (target) rmSync(target, { recursive: true });
  });

  async function post(config: ServerConfig, path = "/") {
    const server = await ServerProcess.start({ ...config, http: { uploads: { dir: target, forbid: [".php"] } } });
    const { status, body } = await send(`${server.httpUrl}${path}`, {
      method: "POST",
      headers: { "content-type": MULTIPART },
      body: form,
    });
    expect(status, body).to.equal(200);
    const { files, fields, ...rest } = JSON.parse(Buffer.from(body, "latin1").toString());
    const moved = join(target, "moved-me.jpg");
    expect(files.photo).to.include({ size: content.length, error: 0, target: moved });
    expect(files.photo.hash).to.equal(createHash("md5").update(content).digest("hex"));
    // The server removes its temporary files when the response is done; what was moved is none of them any more.
    await server.stop();
    expect(readFileSync(moved).equals(content)).to.equal(true);
    rmSync(moved);
    expect(existsSync(join(target, "never"))).to.equal(false);
    return { files, fields, ...rest };
  }

  async function postToPsr7(autoload: string, library: string): Promise<void> {
    const command = ["php", phpFixture("moves-uploads.php"), autoload, library, target];
    const { files, fields } = await post({ command });
    expect(fields, "an input without a file is an empty text").to.deep.equal({ title: "Zoë", none: "" });
    expect(files.photo).to.include({ name: "me.jpg", once: true });
    expect(files.script).to.deep.equal({ name: "shell.php", size: 0, error: 8, refused: true });
    expect(files, "and no file").not.to.have.property("none");
  }

  for (const library of ["nyholm", "guzzle"])
    it(`with moveTo() of ${library}/psr7, by our own bridge`, async function () {
      const autoload = process.env.PSR7_AUTOLOAD;
      if (!autoload) return skip(this, "PSR7_AUTOLOAD does not name the autoloader of PSR-7 packages");
      if (!existsSync(join(dirname(autoload), library === "guzzle" ? "guzzlehttp" : library)))
        return skip(this, `${library}/psr7 is not installed beside ${autoload}`);
      await postToPsr7(autoload, library);
    });

  for (const set of PACKAGE_SETS)
    it(`with moveTo(), by RoadRunner's packages: ${set.name}`, async function () {
      this.timeout(120_000);
      const installed = installSet(set);
      if ("unavailable" in installed) return skip(this, installed.unavailable);
      await postToPsr7(join(installed.directory, "vendor/autoload.php"), "official");
    });

  it("with move_uploaded_file(), in plain scripts", async () => {
    const { files, fields, others } = await post(
      { script: "globals.php" },
      `/index.php?to=${encodeURIComponent(target)}`,
    );
    expect(fields, "an input without a file is none").to.deep.equal({ title: "Zoë" });
    expect(files.photo).to.include({ name: "me.jpg", uploaded: true, moved: true, again: false, still: false });
    const nothing = { size: 0, uploaded: false, moved: false, again: false, still: false };
    expect(files.script).to.deep.equal({ name: "shell.php", error: 8, ...nothing });
    expect(files.none).to.deep.equal({ name: "", error: 4, ...nothing });
    expect(others, "files that did not come with the request").to.deep.equal([false, false]);
  });

  it("to another file system", async function () {
    const other = "/dev/shm";
    if (!existsSync(other)) return skip(this, `there is no ${other} to be another file system`);
    const folder = mkdtempSync(join(other, "rr-test-moved-"));
    try {
      const server = await ServerProcess.start({ script: "globals.php", http: { uploads: { dir: target } } });
      const { body } = await send(`${server.httpUrl}/index.php?to=${encodeURIComponent(folder)}`, {
        method: "POST",
        headers: { "content-type": MULTIPART },
        body: multipart({ name: "f", fileName: "a.bin", content }),
      });
      expect(JSON.parse(body).files.f).to.include({ moved: true, still: false });
      expect(readFileSync(join(folder, "moved-a.bin")).equals(content)).to.equal(true);
      await eventually("the temporary file was gone", async () => (await server.pool()).workersWorking === 0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
