import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect } from "chai";
import type { FileServerFolder } from "../../../src/config/options.ts";
import { RrError } from "../../../src/errors.ts";
import { type FileServer, startFileServer } from "../../../src/http/file-server.ts";
import { memoryLog, RawConnection, send } from "./support.ts";

const TEXT = "some text ".repeat(500);

describe("file server", () => {
  let directory: string;
  let server: FileServer | undefined;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "rrctl-files-"));
    await mkdir(join(directory, "a/docs"), { recursive: true });
    await mkdir(join(directory, "b"));
    for (const [name, text] of Object.entries({
      "a/one.txt": TEXT,
      "a/LICENSE": "no extension",
      "a/docs/index.html": "<p>docs</p>",
      "a/index.php": "<?php secret",
      "b/one.txt": "another one",
      "secret.txt": "outside",
    }))
      await writeFile(join(directory, name), text);
  });

  afterEach(async () => {
    await server?.close(0);
    server = undefined;
    await rm(directory, { recursive: true });
  });

  async function serving(...folders: (Partial<FileServerFolder> & { prefix: string })[]): Promise<number> {
    const complete = folders.map(
      (folder): FileServerFolder => ({
        root: join(directory, "a"),
        etag: "strong",
        index: ["index.html"],
        precompressed: false,
        ranges: false,
        freshMs: 0,
        headers: {},
        followLinks: "owner",
        compress: false,
        ...folder,
      }),
    );
    server = await startFileServer({
      options: { address: { kind: "tcp", host: "127.0.0.1", port: 0 }, folders: complete },
      log: memoryLog().log,
      listen: { host: "127.0.0.1", port: 0 },
    });
    return server.address.port;
  }

  it("serves a folder under a prefix", async () => {
    const port = await serving({ prefix: "/files", headers: { "Cache-Control": "public, max-age=30" } });
    const { status, headers, body } = await send(port, { path: "/files/one.txt?x" });
    expect({ status, body }).to.deep.equal({ status: 200, body: TEXT });
    expect(headers).to.include({ "cache-control": "public, max-age=30", "accept-ranges": "none" });
    expect(headers.etag).to.match(/^"/);
    expect((await send(port, { path: "/files/LICENSE" })).body).to.equal("no extension");
    const known = { "if-none-match": headers.etag! };
    expect((await send(port, { path: "/files/one.txt", headers: known })).status).to.equal(304);
    for (const path of ["/one.txt", "/filesone.txt", "/files2/one.txt", "/files", "/", "/files/missing"])
      expect((await send(port, { path })).status, path).to.equal(404);
  });

  it("serves index pages of folders, by their path with a slash", async () => {
    const port = await serving({ prefix: "" });
    expect((await send(port, { path: "/docs/" })).body).to.equal("<p>docs</p>");
    const redirect = await send(port, { path: "//docs" });
    expect(redirect.status).to.equal(301);
    expect(redirect.headers.location).to.equal("/docs/");
  });

  it("looks in the folder of the longest prefix first", async () => {
    const port = await serving({ prefix: "/x/b", root: join(directory, "b") }, { prefix: "/x" });
    expect((await send(port, { path: "/x/b/one.txt" })).body).to.equal("another one");
    expect((await send(port, { path: "/x/one.txt" })).body).to.equal(TEXT);
  });

  it("compresses and sends parts only if told to", async () => {
    const plain = await serving({ prefix: "" });
    const request = { path: "/one.txt", headers: { "accept-encoding": "gzip" } };
    expect((await send(plain, request)).body).to.equal(TEXT);
    const part = { path: "/one.txt", headers: { range: "bytes=0-3" } };
    expect((await send(plain, part)).status).to.equal(200);
    await server!.close(0);
    const port = await serving({ prefix: "", compress: true, ranges: true });
    const { bytes, headers } = await send(port, request);
    expect(gunzipSync(bytes).toString()).to.equal(TEXT);
    expect(headers.vary).to.equal("Accept-Encoding");
    expect(await send(port, part)).to.deep.include({ status: 206, body: "some" });
  });

  it("serves nothing else", async () => {
    const port = await serving({ prefix: "/files" });
    expect(await send(port, { method: "POST", path: "/files/one.txt", body: "x" })).to.deep.include({ status: 405 });
    expect((await send(port, { path: "/files/index.php" })).status).to.equal(404);
    for (const [path, status] of [
      ["/files/../secret.txt", 403],
      ["/files/%2e%2e/%2e%2e/secret.txt", 403],
      ["/files/..%2f..%2fsecret.txt", 403],
      ["/files/one.txt%00", 400],
      ["/files/%zz", 404],
      ["*", 400],
    ] as const) {
      const text = await new RawConnection(port)
        .write(`GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)
        .all();
      expect(text, path).to.match(new RegExp(`^HTTP/1.1 ${status} `));
      expect(text).not.to.contain("outside");
    }
  });

  it("says which folder is missing", async () => {
    let thrown: unknown;
    await serving({ prefix: "", root: join(directory, "nowhere") }).catch((error) => {
      thrown = error;
    });
    expect(thrown).to.be.instanceOf(RrError);
    expect((thrown as RrError).message).to.match(/^fileserver\.serve: .*nowhere does not exist/);
  });
});
