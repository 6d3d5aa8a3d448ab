import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { byteRange } from "../../../../src/http/files/byte-range.ts";
import { Folder } from "../../../../src/http/files/folder.ts";
import { extensionOf, isPhp, requestedPath } from "../../../../src/http/files/requested-path.ts";

describe("folder", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "rrctl-folder-"));
  });
  afterEach(() => rm(root, { recursive: true }));

  const folder = (freshMs: number) =>
    new Folder({
      root,
      etag: "none",
      index: [],
      precompressed: false,
      ranges: true,
      freshMs,
      headers: {},
      followLinks: "owner",
    });

  it("looks for a file once, however many ask", async () => {
    await writeFile(join(root, "a.txt"), "text");
    const files = folder(60_000);
    const [one, other] = [files.find("a.txt"), files.find("a.txt")];
    expect(one).to.be.instanceOf(Promise).and.equal(other);
    const found = await one;
    expect(found!.file.body!.toString()).to.equal("text");
    expect(files.find("a.txt")).to.equal(found);
    expect(await files.find("missing.txt")).to.equal(undefined);
  });

  it("keeps a bounded amount in memory, and what was asked for last", async () => {
    const megabyte = Buffer.alloc(1024 * 1024);
    const files = folder(60_000);
    for (let index = 0; index < 40; index++) {
      await writeFile(join(root, `${index}.bin`), megabyte);
      await files.find(`${index}.bin`);
    }
    expect(files.memoryBytes).to.be.within(30 * 1024 * 1024, 32 * 1024 * 1024);
    expect(files.find("39.bin")).not.to.be.instanceOf(Promise);
    expect(files.find("0.bin")).to.be.instanceOf(Promise);
    await files.find("0.bin");
  });

  it("does not keep large files, and gives back what changed files took", async () => {
    await writeFile(join(root, "large.bin"), Buffer.alloc(1024 * 1024 + 1));
    await writeFile(join(root, "small.bin"), "12345");
    const files = folder(0);
    expect((await files.find("large.bin"))!.file.body).to.equal(undefined);
    await files.find("small.bin");
    expect(files.memoryBytes).to.equal(5);
    await writeFile(join(root, "small.bin"), "123");
    await files.find("small.bin");
    expect(files.memoryBytes).to.equal(3);
    await rm(join(root, "small.bin"));
    expect(await files.find("small.bin")).to.equal(undefined);
    expect(files.memoryBytes).to.equal(0);
  });
});

describe("requested path", () => {
  for (const [target, expected] of [
    ["/a/b.css", { path: "a/b.css" }],
    ["/", { path: "" }],
    ["/a/", { path: "a/" }],
    ["/a/./b//c?d/../e", { path: "a/b/c" }],
    ["/a%20b+c.txt", { path: "a b+c.txt" }],
    ["/%C3%A9.txt", { path: "é.txt" }],
    ["/\xc3\xa9.txt", { path: "é.txt" }],
    ["/%252e%252e/a.txt", { path: "%2e%2e/a.txt" }],
    ["http://host:80/a.txt", { path: "a.txt" }],
    ["/a..b/c...txt", { path: "a..b/c...txt" }],
    ["/..", { refused: 403 }],
    ["/a/%2E./b", { refused: 403 }],
    ["/a%5c..%5cb", { refused: 403 }],
    ["/a%00", { refused: 400 }],
    ["/.git/config", undefined],
    ["/a/.x", undefined],
    ["/a%5cb", undefined],
    ["/a%0ab", undefined],
    ["/%c3.txt", undefined],
    ["*", undefined],
    ["", undefined],
  ] as const)
    it(`of ${JSON.stringify(target)} is ${JSON.stringify(expected)}`, () => {
      expect(requestedPath(target)).to.deep.equal(expected);
    });

  it("knows names of PHP", () => {
    for (const name of ["a.php", "a.PHP7", "a.phtml", "a.phar", "a.php.bak", "a.php~", "a.php ", "a.phps"])
      expect(isPhp(name), name).to.equal(true);
    for (const name of ["php", "a.phpx", "a.css", "php.txt", "a.phone"]) expect(isPhp(name), name).to.equal(false);
  });

  it("knows extensions", () => {
    expect(["a.b/c", "a.b/c.TXT", "x.tar.gz", ""].map(extensionOf)).to.deep.equal(["", ".txt", ".gz", ""]);
  });
});

describe("byte range", () => {
  it("of an empty body cannot be satisfied, or is the whole", () => {
    expect(byteRange("bytes=0-", 0)).to.equal("unsatisfiable");
    expect(byteRange("bytes=-5", 0)).to.equal("unsatisfiable");
    expect(byteRange(undefined, 0)).to.equal("whole");
  });

  it("takes no number for what it is not", () => {
    for (const range of ["bytes=1e3-", "bytes=0x1-", "bytes=+1-2", "bytes=1 - 2", "bytes= 1-2x"])
      expect(byteRange(range, 10), range).to.equal("whole");
    expect(byteRange(`bytes=0-${"9".repeat(400)}`, 10)).to.deep.equal({ first: 0, last: 9 });
    expect(byteRange(`bytes=${"9".repeat(400)}-`, 10)).to.equal("unsatisfiable");
  });
});
