import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, lchown, mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect } from "chai";
import type { HttpOptions, StaticOptions } from "../../../../src/config/options.ts";
import { RrError } from "../../../../src/errors.ts";
import { eventually } from "../../../support/eventually.ts";
import { send as sendTo } from "../../../support/http-load.ts";
import { skip } from "../../../support/php.ts";
import { closeFrontends, RawConnection, send, testFrontend } from "../support.ts";

/** Exchanges a folder for a link and back, as fast as it can. */
const SWAP = `
const { renameSync } = require("node:fs");
process.chdir(process.argv[1]);
for (;;) {
  renameSync("real", "parked");
  renameSync("link", "real");
  renameSync("real", "link");
  renameSync("parked", "real");
}`;

const TEXT = "0123456789".repeat(10);
const CSS = "body { color: black }\n".repeat(100);

describe("static middleware", () => {
  let directory: string;
  let root: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "rrctl-static-"));
    root = join(directory, "public");
    for (const folder of ["sub/.git", "sub/.well-known", ".well-known/acme-challenge"])
      await mkdir(join(root, folder), { recursive: true });
    const files = {
      "a.txt": TEXT,
      "style.css": CSS,
      "sub/page.html": "<p>sub</p>",
      "sub/index.html": "<p>index</p>",
      "with space é.txt": "named",
      noextension: "x",
      console: "#!/usr/bin/env php\n<?php secret",
      script: "<?php secret",
      ".well-known/assetlinks.json": "{}",
      ".well-known/acme-challenge/token": "token",
      ".well-known/.secret": "secret",
      "sub/.well-known/x.json": "secret",
      "index.php": "<?php secret",
      "upper.PHP": "<?php secret",
      "old.php.bak": "<?php secret",
      "x.phtml": "<?php secret",
      ".env": "SECRET=1",
      ".hidden.txt": "secret",
      "sub/.git/config.txt": "secret",
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(root, name), text);
    await writeFile(join(directory, "secret.txt"), "outside");
  });

  afterEach(async () => {
    await closeFrontends();
    await rm(directory, { recursive: true });
  });

  async function serving(overrides: Partial<StaticOptions> = {}, http: Partial<HttpOptions> = {}) {
    const options: StaticOptions = {
      root,
      etag: "none",
      index: [],
      precompressed: true,
      ranges: true,
      freshMs: 0,
      headers: {},
      forbid: [],
      allow: [],
      extensionless: true,
      notFound: [],
      followLinks: "owner",
      ...overrides,
    };
    const started = await testFrontend({ middleware: ["static"], static: options, ...http });
    started.dispatch.answerer = (call) => call.answer(200, { "Content-Type": "text/plain" }, "from PHP");
    return started;
  }

  it("serves files without the application", async () => {
    const { dispatch, port, frontend } = await serving();
    const { status, headers, body } = await send(port, { path: "/a.txt?v=1" });
    expect(status).to.equal(200);
    expect(body).to.equal(TEXT);
    expect(headers).to.include({
      "content-type": "text/plain; charset=utf-8",
      "content-length": "100",
      "accept-ranges": "bytes",
    });
    expect(Date.parse(headers["last-modified"]!)).to.be.closeTo(Date.now(), 60_000);
    expect(headers).not.to.have.any.keys("etag", "cache-control", "vary");
    expect((await send(port, { path: "/with%20space%20%C3%A9.txt" })).body).to.equal("named");
    expect((await send(port, { path: "//sub/./page.html" })).body).to.equal("<p>sub</p>");
    expect(dispatch.calls).to.have.length(0);
    expect(frontend.stats()).to.include({ requests: 3, openRequests: 0 });
  });

  it("answers HEAD like GET, without the body", async () => {
    const { port } = await serving();
    const { status, headers, body } = await send(port, { path: "/a.txt", method: "HEAD" });
    expect({ status, body, length: headers["content-length"] }).to.deep.equal({ status: 200, body: "", length: "100" });
  });

  it("is in the access log like every request", async () => {
    const { port, lines } = await serving({}, { accessLogs: true });
    await send(port, { path: "/a.txt" });
    const [line] = lines.filter(({ message }) => message === "http access log");
    expect(line!.fields).to.include({ status: 200, URI: "/a.txt", write_bytes: 100, method: "GET" });
  });

  for (const path of [
    "/missing.txt",
    "/",
    "/sub",
    "/sub/",
    "/a.txt/",
    "/a.txt/x.txt",
    "/missing",
    "/console",
    "/script",
    "/.well-known/missing",
    "/.well-known/.secret",
    "/sub/.well-known/x.json",
    "/index.php",
    "/upper.PHP",
    "/old.php.bak",
    "/x.phtml",
    "/.env",
    "/.hidden.txt",
    "/sub/.git/config.txt",
    "/%2ehidden.txt",
    "/%zz.txt",
    "/%ff.txt",
    "/a%5cb.txt",
    "/link.txt",
    "/linked/secret.txt",
    "/php.txt",
    "/pipe.txt",
  ])
    it(`leaves ${path} to the application`, async () => {
      await symlink(join(directory, "secret.txt"), join(root, "link.txt"));
      await symlink(directory, join(root, "linked"));
      await symlink("index.php", join(root, "php.txt"));
      execFileSync("mkfifo", [join(root, "pipe.txt")]);
      const { dispatch, port } = await serving({ followLinks: "never" });
      expect((await send(port, { path })).body).to.equal("from PHP");
      expect((dispatch.calls[0]!.context.uri as string).endsWith(path)).to.equal(true);
    });

  for (const [path, expected] of [
    ["/../secret.txt", 403],
    ["/sub/../../secret.txt", 403],
    ["/%2e%2e/secret.txt", 403],
    ["/.%2E/secret.txt", 403],
    ["/sub%2f..%2f..%2fsecret.txt", 403],
    ["/..%5csecret.txt", 403],
    ["/sub/..", 403],
    ["/..", 403],
    ["/a.txt%00.png", 400],
    ["http://h/../secret.txt", 403],
  ] as const)
    it(`refuses ${path} with ${expected}`, async () => {
      const { dispatch, port } = await serving();
      const text = await new RawConnection(port)
        .write(`GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)
        .all();
      expect(text).to.match(new RegExp(`^HTTP/1.1 ${expected} `));
      expect(text).not.to.contain("outside");
      expect(dispatch.calls).to.have.length(0);
    });

  it("serves what is well known, and files without extension", async () => {
    const { port } = await serving();
    for (const [path, text] of [
      ["/noextension", "x"],
      ["/.well-known/assetlinks.json", "{}"],
      ["/.well-known/acme-challenge/token", "token"],
    ] as const)
      expect((await send(port, { path })).body, path).to.equal(text);
    // Names of the folder are known by now: one that came later is found when they are looked at again.
    await writeFile(join(root, "later"), "new");
    await eventually("the new file was served", async () => (await send(port, { path: "/later" })).body === "new");
  });

  it("leaves files without extension to the application if it shall, those that are well known excepted", async () => {
    for (const options of [{ extensionless: false }, { allow: [".css"] }]) {
      const { port } = await serving(options);
      expect((await send(port, { path: "/noextension" })).body).to.equal("from PHP");
      expect((await send(port, { path: "/.well-known/acme-challenge/token" })).body).to.equal("token");
      await closeFrontends();
    }
  });

  it("says itself that files are not there, if their extension says that they are files", async () => {
    const { dispatch, port } = await serving({ notFound: [".css", ".ico"] });
    expect((await send(port, { path: "/favicon.ico" })).status).to.equal(404);
    expect((await send(port, { path: "/style.css" })).status).to.equal(200);
    expect(dispatch.calls).to.have.length(0);
    expect((await send(port, { path: "/missing.txt" })).body).to.equal("from PHP");
    expect((await send(port, { path: "/favicon" })).body).to.equal("from PHP");
  });

  describe("with links that lead out", () => {
    beforeEach(async () => {
      await mkdir(join(directory, "storage/app/public"), { recursive: true });
      await writeFile(join(directory, "storage/app/public/a.jpg"), "picture");
      await writeFile(join(directory, "storage/app/public/large.jpg"), Buffer.alloc(2_000_000, "p"));
      await writeFile(join(directory, "storage/app/public/.env"), "secret");
      await writeFile(join(directory, "storage/app/public/x.php"), "<?php secret");
      await symlink("../storage/app/public", join(root, "storage"));
      await symlink(join(directory, "storage/app/public/.env"), join(root, "env.txt"));
    });
    const served = async (port: number, path = "/storage/a.jpg") => (await send(port, { path })).body !== "from PHP";
    const isServed = (port: number, path?: string) => eventually("it was served", () => served(port, path));

    it("follows them if they and their targets belong to the folder's owner", async () => {
      const { port } = await serving();
      await isServed(port);
      expect((await send(port, { path: "/storage/a.jpg" })).body).to.equal("picture");
      expect((await send(port, { path: "/storage/large.jpg" })).body).to.have.length(2_000_000);
      expect((await send(port, { path: "/storage/a.jpg" })).body).to.equal("picture");
      for (const path of ["/env.txt", "/storage/.env", "/storage/x.php"])
        expect(await served(port, path)).to.equal(false);
    });

    it("follows none that has just come, as it may be a folder again in a moment", async () => {
      const { port } = await serving();
      await symlink("../storage/app/public", join(root, "fresh"));
      expect(await served(port, "/fresh/a.jpg")).to.equal(false);
      await isServed(port, "/fresh/a.jpg");
    });

    it("follows none, or all, if it shall", async () => {
      const never = await serving({ followLinks: "never" });
      const always = await serving({ followLinks: "always" });
      await isServed(always.port);
      expect(await served(never.port)).to.equal(false);
      expect(await served(always.port, "/env.txt")).to.equal(false);
    });

    for (const what of ["the link", "its target"])
      it(`follows none if ${what} belongs to somebody else, and says so once`, async function () {
        if (process.getuid?.() !== 0) return skip(this, "only root can give files away");
        if (what === "the link") await lchown(join(root, "storage"), 65_534, 65_534);
        else await chown(join(directory, "storage/app/public"), 65_534, 65_534);
        const { port, lines } = await serving();
        const always = await serving({ followLinks: "always" });
        await isServed(always.port);
        for (let count = 0; count < 3; count++) expect(await served(port)).to.equal(false);
        expect(lines.filter(({ fields }) => fields.event === "files.link_not_followed")).to.have.length(1);
      });

    it("serves a file that belongs to somebody else, in a folder of the owner", async function () {
      if (process.getuid?.() !== 0) return skip(this, "only root can give files away");
      await chown(join(directory, "storage/app/public/a.jpg"), 65_534, 65_534);
      await isServed((await serving()).port);
    });
  });

  for (const size of [100, 2_000_000])
    it(`serves nothing from outside while a folder is exchanged for a link, files of ${size} bytes`, async function () {
      this.timeout(30_000);
      const names = Array.from({ length: 200 }, (_, at) => `f${at}.txt`);
      for (const [folder, letter] of [
        [join(root, "real"), "i"],
        [join(directory, "outside"), "o"],
      ] as const) {
        await mkdir(folder);
        for (const name of names.slice(0, size > 1000 ? 5 : names.length))
          await writeFile(join(folder, name), Buffer.alloc(size, letter));
      }
      await symlink(join(directory, "outside"), join(root, "link"));
      const { port } = await serving({ freshMs: 0 });
      const swapper = spawn(process.execPath, ["-e", SWAP, root], { stdio: "ignore" });
      const seen = new Map<string, number>();
      const agent = new Agent({ keepAlive: true, maxSockets: 16 });
      let at = 0;
      const lane = async () => {
        while (at < (size > 1000 ? 300 : 4_000)) {
          const name = names[at++ % (size > 1000 ? 5 : names.length)]!;
          const { body } = await sendTo(`http://127.0.0.1:${port}/real/${name}`, { agent });
          seen.set(body[0] ?? "", (seen.get(body[0] ?? "") ?? 0) + 1);
        }
      };
      await Promise.all(Array.from({ length: 16 }, lane));
      swapper.kill("SIGKILL");
      agent.destroy();
      await once(swapper, "exit");
      expect(seen.get("o") ?? 0, "from outside").to.equal(0);
      expect(seen.get("i") ?? 0, "from inside").to.be.above(0);
    });

  it("opens no device and no pipe", async () => {
    execFileSync("mkfifo", [join(root, "noext")]);
    await symlink("/dev/zero", join(root, "zero.bin"));
    await symlink("/dev/stdin", join(root, "stdin"));
    const { port } = await serving({ followLinks: "always" });
    for (const path of ["/noext", "/zero.bin", "/stdin"])
      expect((await send(port, { path })).body).to.equal("from PHP");
  });

  it("follows links that stay inside, and a root that is a link", async () => {
    await symlink("a.txt", join(root, "inside.txt"));
    await symlink(root, join(directory, "current"));
    const { port } = await serving({ root: join(directory, "current") });
    expect((await send(port, { path: "/inside.txt" })).body).to.equal(TEXT);
    // A deployment turns the link.
    await mkdir(join(directory, "next"));
    await writeFile(join(directory, "next/inside.txt"), "next");
    await symlink(join(directory, "next"), join(directory, "new"));
    await rename(join(directory, "new"), join(directory, "current"));
    expect((await send(port, { path: "/inside.txt" })).body).to.equal("next");
    expect((await send(port, { path: "/a.txt" })).body).to.equal("from PHP");
  });

  it("leaves other methods to the application", async () => {
    const { dispatch, port } = await serving();
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) await send(port, { method, path: "/a.txt" });
    expect(dispatch.calls).to.have.length(4);
  });

  it("knows forbidden and allowed extensions", async () => {
    const forbidding = await serving({ forbid: [".css"] });
    expect((await send(forbidding.port, { path: "/style.css" })).body).to.equal("from PHP");
    expect((await send(forbidding.port, { path: "/a.txt" })).body).to.equal(TEXT);
    const allowing = await serving({ allow: [".css", ".txt"], forbid: [".txt"] });
    expect((await send(allowing.port, { path: "/style.css" })).body).to.equal(CSS);
    expect((await send(allowing.port, { path: "/a.txt" })).body).to.equal("from PHP");
    expect((await send(allowing.port, { path: "/sub/page.html" })).body).to.equal("from PHP");
  });

  it("serves index files of folders if told to", async () => {
    const { port } = await serving({ index: ["index.htm", "index.html"] });
    expect((await send(port, { path: "/sub/?x" })).body).to.equal("<p>index</p>");
    expect((await send(port, { path: "/sub" })).body).to.equal("from PHP");
    expect((await send(port, { path: "/" })).body).to.equal("from PHP");
  });

  it("adds the headers that are configured, also where nothing changed", async () => {
    const { port } = await serving({ headers: { "X-Served-By": "rr", "Cache-Control": "public, max-age=60" } });
    const { headers } = await send(port, { path: "/a.txt" });
    expect(headers).to.include({ "x-served-by": "rr", "cache-control": "public, max-age=60" });
    const since = { "if-modified-since": headers["last-modified"]! };
    const unchanged = await send(port, { path: "/a.txt", headers: since });
    expect(unchanged).to.deep.include({ status: 304, body: "" });
    expect(unchanged.headers).to.include({ "cache-control": "public, max-age=60" });
    expect(unchanged.headers).not.to.have.property("content-length");
  });

  describe("conditions", () => {
    for (const [etag, pattern] of [
      ["strong", /^"[\w-]+"$/],
      ["weak", /^W\/"[\w-]+"$/],
    ] as const)
      it(`go by a ${etag} tag`, async () => {
        const { port } = await serving({ etag });
        const tag = (await send(port, { path: "/a.txt" })).headers.etag!;
        expect(tag).to.match(pattern);
        const get = (headers: Record<string, string>) => send(port, { path: "/a.txt", headers });
        expect((await get({ "if-none-match": `"other", ${tag}` })).status).to.equal(304);
        expect((await get({ "if-none-match": `W/${tag.replace("W/", "")}` })).status).to.equal(304);
        expect((await get({ "if-none-match": "*" })).status).to.equal(304);
        expect((await get({ "if-none-match": '"other"' })).status).to.equal(200);
        // The tag counts, not the date.
        const future = new Date(Date.now() + 1e6).toUTCString();
        expect((await get({ "if-none-match": '"other"', "if-modified-since": future })).status).to.equal(200);
        expect((await get({ "if-match": tag })).status).to.equal(etag === "strong" ? 200 : 412);
        expect((await get({ "if-match": '"other"' })).status).to.equal(412);
      });

    it("go by dates", async () => {
      await utimes(join(root, "a.txt"), 1_000_000, 1_000_000.7);
      const { port } = await serving();
      const get = async (headers: Record<string, string>) => (await send(port, { path: "/a.txt", headers })).status;
      const at = (seconds: number) => new Date(seconds * 1000).toUTCString();
      expect(await get({ "if-modified-since": at(1_000_000) })).to.equal(304);
      expect(await get({ "if-modified-since": at(999_999) })).to.equal(200);
      expect(await get({ "if-modified-since": "yesterday" })).to.equal(200);
      expect(await get({ "if-unmodified-since": at(999_999) })).to.equal(412);
      expect(await get({ "if-unmodified-since": at(1_000_000) })).to.equal(200);
    });

    it("see a change at once", async () => {
      const { port } = await serving({ etag: "strong" });
      const { etag } = (await send(port, { path: "/a.txt" })).headers;
      await writeFile(join(root, "a.txt"), "changed");
      const response = await send(port, { path: "/a.txt", headers: { "if-none-match": etag! } });
      expect(response).to.deep.include({ status: 200, body: "changed" });
      await rm(join(root, "a.txt"));
      expect((await send(port, { path: "/a.txt" })).body).to.equal("from PHP");
    });

    it("need no look at a file that was looked at just now", async () => {
      const { port } = await serving({ freshMs: 60_000 });
      await send(port, { path: "/a.txt" });
      await rm(join(root, "a.txt"));
      expect((await send(port, { path: "/a.txt" })).body).to.equal(TEXT);
    });
  });

  for (const [size, name] of [
    ["small", "a.txt"],
    ["large", "large.txt"],
  ] as const)
    describe(`ranges of a ${size} file`, () => {
      const bytes = size === "small" ? 100 : 2_000_000;
      beforeEach(async () => {
        if (size === "large") await writeFile(join(root, name), TEXT.repeat(20_000));
      });

      for (const [range, first, last] of [
        ["bytes=0-9", 0, 9],
        ["bytes=5-5", 5, 5],
        ["bytes=90-", 90, bytes - 1],
        ["bytes=-7", bytes - 7, bytes - 1],
        ["bytes=-99999999", 0, bytes - 1],
        ["bytes=10-999999999", 10, bytes - 1],
        ["Bytes=3-4", 3, 4],
      ] as const)
        it(`${range} is ${first}-${last}`, async () => {
          const { port } = await serving();
          const { status, headers, body } = await send(port, { path: `/${name}`, headers: { range } });
          expect(status).to.equal(206);
          expect(headers["content-range"]).to.equal(`bytes ${first}-${last}/${bytes}`);
          expect(headers["content-length"]).to.equal(String(last - first + 1));
          expect(body).to.equal(TEXT.repeat(bytes / 100).slice(first, last + 1));
        });

      for (const range of ["bytes=0-1,5-6", "bytes=9-5", "lines=1-2", "bytes=-", "bytes=a-b"])
        it(`${range} is the whole`, async () => {
          const { port } = await serving();
          const { status, bytes: received } = await send(port, { path: `/${name}`, headers: { range } });
          expect({ status, length: received.length }).to.deep.equal({ status: 200, length: bytes });
        });

      for (const range of [`bytes=${bytes}-`, "bytes=-0"])
        it(`${range} cannot be satisfied`, async () => {
          const { port } = await serving();
          const { status, headers } = await send(port, { path: `/${name}`, headers: { range } });
          expect(status).to.equal(416);
          expect(headers["content-range"]).to.equal(`bytes */${bytes}`);
        });

      it("belong to the version that the client has", async () => {
        const { port } = await serving({ etag: "strong" });
        const { etag, "last-modified": modified } = (await send(port, { path: `/${name}`, method: "HEAD" })).headers;
        const get = async (condition: string) =>
          (await send(port, { path: `/${name}`, headers: { range: "bytes=0-1", "if-range": condition } })).status;
        expect(await get(etag!)).to.equal(206);
        expect(await get(modified!)).to.equal(206);
        expect(await get('"other"')).to.equal(200);
        expect(await get(`W/${etag}`)).to.equal(200);
        expect(await get(new Date(0).toUTCString())).to.equal(200);
      });

      it("do not exist for HEAD", async () => {
        const { port } = await serving();
        const response = await send(port, { path: `/${name}`, method: "HEAD", headers: { range: "bytes=0-1" } });
        expect(response.status).to.equal(200);
        expect(response.headers["content-length"]).to.equal(String(bytes));
      });
    });

  describe("compressed siblings", () => {
    const accept = (encoding: string) => ({ path: "/style.css", headers: { "accept-encoding": encoding } });

    beforeEach(async () => {
      await writeFile(join(root, "style.css.gz"), gzipSync(CSS));
      await writeFile(join(root, "style.css.br"), "brotli bytes");
      await writeFile(join(root, "style.css.zst"), "zstd bytes");
    });

    it("are sent to who takes them", async () => {
      const { port } = await serving({ etag: "strong" });
      const gzip = await send(port, accept("gzip"));
      expect(gzip.headers).to.include({
        "content-encoding": "gzip",
        "content-type": "text/css; charset=utf-8",
        vary: "Accept-Encoding",
      });
      expect(gunzipSync(gzip.bytes).toString()).to.equal(CSS);
      expect((await send(port, accept("gzip, br, zstd"))).body).to.equal("brotli bytes");
      expect((await send(port, accept("zstd, gzip;q=0.9"))).body).to.equal("zstd bytes");
      const plain = await send(port, { path: "/style.css" });
      expect(plain.body).to.equal(CSS);
      expect(plain.headers.vary).to.equal("Accept-Encoding");
      expect(plain.headers.etag).not.to.equal(gzip.headers.etag);
      expect(plain.headers["last-modified"]).to.equal(gzip.headers["last-modified"]);
      const known = { ...accept("gzip").headers, "if-none-match": gzip.headers.etag! };
      expect((await send(port, { path: "/style.css", headers: known })).status).to.equal(304);
    });

    it("are not compressed again", async () => {
      const { port } = await serving({}, { middleware: ["gzip", "static"] });
      const { bytes } = await send(port, accept("gzip"));
      expect(gunzipSync(bytes).toString()).to.equal(CSS);
    });

    it("do not count for parts", async () => {
      const { port } = await serving();
      const { headers } = accept("gzip");
      const response = await send(port, { path: "/style.css", headers: { ...headers, range: "bytes=0-3" } });
      expect(response).to.deep.include({ status: 206, body: "body" });
    });

    it("do not count if they are older, or larger, or not wanted", async () => {
      await utimes(join(root, "style.css.br"), 1_000_000, 1_000_000);
      await writeFile(join(root, "style.css.zst"), CSS.repeat(2));
      const { port } = await serving();
      expect((await send(port, accept("br, zstd"))).body).to.equal(CSS);
      const without = await serving({ precompressed: false });
      const { body, headers } = await send(without.port, accept("gzip"));
      expect(body).to.equal(CSS);
      expect(headers).not.to.have.property("vary");
    });
  });

  it("goes through the filters of outer middleware: compressed if they compress", async () => {
    const { port } = await serving({ etag: "strong", precompressed: false }, { middleware: ["gzip", "static"] });
    for (const _ of [1, 2]) {
      const { headers, bytes } = await send(port, { path: "/style.css", headers: { "accept-encoding": "gzip" } });
      expect(headers).to.include({ "content-encoding": "gzip" });
      expect(headers.etag).to.match(/^W\//);
      expect(gunzipSync(bytes).toString()).to.equal(CSS);
    }
  });

  it("sends large files to slow clients and survives those that leave", async () => {
    await writeFile(join(root, "large.txt"), TEXT.repeat(200_000));
    const { port, frontend } = await serving();
    const slow = new RawConnection(port);
    slow.socket.pause();
    slow.write("GET /large.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    const leaving = new RawConnection(port).write("GET /large.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    await leaving.until("200 OK");
    leaving.socket.destroy();
    await eventually("the one that left is over", () => frontend.stats().disconnects === 1);
    slow.socket.resume();
    const text = await slow.all();
    expect(text.slice(text.indexOf("\r\n\r\n") + 4)).to.have.length(20_000_000);
  });

  it("says which folder is missing", async () => {
    let thrown: unknown;
    await serving({ root: join(directory, "nowhere") }).catch((error) => {
      thrown = error;
    });
    expect(thrown).to.be.instanceOf(RrError);
    expect((thrown as RrError).message).to.equal(
      `http.static.dir: ${directory}/nowhere does not exist: create it, or name another one`,
    );
  });
});
