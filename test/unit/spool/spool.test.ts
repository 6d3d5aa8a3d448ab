import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { birthOf, processWorld } from "../../../src/process/birth.ts";
import { ownedPrefix } from "../../../src/process/owned-folder.ts";
import { FOLDER_PREFIX } from "../../../src/spool/leftovers.ts";
import { Spool, type SpoolFailure } from "../../../src/spool/spool.ts";
import { CANNOT_WRITE, NO_FOLDER, type SpoolFile, STORED } from "../../../src/spool/spool-file.ts";
import { eventually } from "../../support/eventually.ts";
import { memoryLog } from "../../support/memory-log.ts";
import { ROOT, skip } from "../../support/php.ts";

const prefixOf = (world: string, pid: number, birth: string) => ownedPrefix(FOLDER_PREFIX, { world, pid, birth });

describe("spool", () => {
  let base: string;
  let spool: Spool;
  let failures: SpoolFailure[];
  let lines: ReturnType<typeof memoryLog>["lines"];

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), "rr-spool-test-"));
    const memory = memoryLog();
    lines = memory.lines;
    failures = [];
    spool = new Spool({ directory: base, bytesMax: 0 }, memory.log, (failure) => failures.push(failure));
  });
  afterEach(async () => {
    await spool.close();
    rmSync(base, { recursive: true, force: true });
  });

  /** Writes a file of these pieces; resolves when it is stored. */
  function store(pieces: string[], nameless = false): Promise<{ file: SpoolFile; wroteBytes: number }> {
    return new Promise((resolve) => {
      let wroteBytes = 0;
      const listener = {
        wrote: (bytes: number) => {
          wroteBytes += bytes;
        },
        stored: (stored: SpoolFile) => resolve({ file: stored, wroteBytes }),
      };
      const file = nameless ? spool.namelessFile(listener) : spool.file({}, listener);
      for (const piece of pieces) file.write(Buffer.from(piece));
      file.end();
    });
  }
  const all = () => readdirSync(base, { recursive: true }) as string[];

  it("makes its folder when the first file comes, for this user alone", async () => {
    expect(all()).to.deep.equal([]);
    const { file, wroteBytes } = await store(["ab", "", "cde"]);
    expect([file.error, file.sizeBytes, wroteBytes]).to.deep.equal([STORED, 5, 5]);
    expect(readFileSync(file.path, "utf8")).to.equal("abcde");
    expect(statSync(file.path).mode & 0o777).to.equal(0o600);
    expect(statSync(join(file.path, "..")).mode & 0o777).to.equal(0o700);
    expect(statSync(join(file.path, "../..")).mode & 0o777).to.equal(0o711);
    const [folder] = readdirSync(base);
    expect(folder!.startsWith(prefixOf(processWorld(), process.pid, birthOf(process.pid)!))).to.equal(true);
  });

  it("stores empty files", async () => {
    const { file } = await store([]);
    expect([file.error, file.sizeBytes, statSync(file.path).size]).to.deep.equal([STORED, 0, 0]);
  });

  it("removes files, also those that are being written or have been moved", async () => {
    const { file } = await store(["a"]);
    const moved = (await store(["b"])).file;
    rmSync(moved.path);
    const half = spool.file({}, { wrote: () => {}, stored: () => {} });
    half.write(Buffer.alloc(1_000_000));
    const { path } = file;
    for (const one of [file, moved, half]) one.remove();
    await eventually("all were removed", () => spool.files === 0);
    expect(existsSync(path)).to.equal(false);
    expect(all().filter((name) => name.includes("/upload"))).to.deep.equal([]);
  });

  it("has nameless files that nobody else can see", async () => {
    const { file } = await store(["x".repeat(300_000), "end"], true);
    expect(file.path).to.equal("");
    expect(all().filter((name) => /\/upload/.test(name))).to.deep.equal([]);
    const chunks: Buffer[] = [];
    for await (const chunk of file.chunks()) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).to.equal(`${"x".repeat(300_000)}end`);
    file.remove();
  });

  it("makes its folder again if somebody tidied it away", async () => {
    const { file } = await store(["a"]);
    file.remove();
    await eventually("it was removed", () => spool.files === 0);
    rmSync(join(base, readdirSync(base)[0]!), { recursive: true });
    const again = (await store(["b"])).file;
    expect(readFileSync(again.path, "utf8")).to.equal("b");
  });

  it("tells of files that cannot be kept, once a second, and counts them all", async () => {
    rmSync(base, { recursive: true });
    for (let count = 0; count < 50; count++) await store(["abc"]);
    expect(spool.failedFiles).to.equal(50);
    expect(failures).to.have.length.of.at.most(2);
    expect(failures[0]).to.deep.include({ folder: base, others: 0 });
    expect(failures[0]!.problem).to.contain("ENOENT");
    await eventually("all of them were told of", () => {
      const told = failures.reduce((sum, { others }) => sum + 1 + others, 0);
      return told === 50;
    });
    const told = lines.filter(({ fields }) => fields.event === "spool.failed");
    expect(told).to.have.length(failures.length);
    expect(told[0]!.level).to.equal("error");
    expect(told[0]!.message).to.contain(base).and.to.contain("http.uploads.dir");
  });

  it("tells a folder that is missing", async () => {
    rmSync(base, { recursive: true });
    const { file, wroteBytes } = await store(["abc"]);
    expect([file.error, file.sizeBytes, file.path]).to.deep.equal([NO_FOLDER, 0, ""]);
    expect(file.problem).to.contain("ENOENT");
    expect(wroteBytes, "nothing waits any more").to.equal(3);
  });

  it("tells a disk that is full, and keeps nothing of the file", function () {
    if (spawnSync("prlimit", ["--version"]).status !== 0)
      return skip(this, "there is no prlimit to make a full disk with");
    const script = `
      import { Spool } from ${JSON.stringify(join(ROOT, "src/spool/spool.ts"))};
      const log = { debug() {}, info() {}, warn() {}, error() {} };
      const spool = new Spool({ directory: ${JSON.stringify(base)}, bytesMax: 0 }, log);
      const file = spool.file({}, { wrote() {}, async stored({ error, sizeBytes, path, problem }) {
        console.log(JSON.stringify({ error, sizeBytes, path, problem }));
        await spool.close();
      } });
      file.write(Buffer.alloc(60_000));
      file.write(Buffer.alloc(60_000));
      file.end();
    `;
    const args = [
      "--fsize=100000",
      process.execPath,
      "--import",
      import.meta.resolve("tsx"),
      "--input-type=module",
      "-e",
    ];
    const told = JSON.parse(execFileSync("prlimit", [...args, script], { encoding: "utf8" }));
    expect(told).to.include({ error: CANNOT_WRITE, path: "", sizeBytes: 100_000 });
    expect(told.problem).to.contain("EFBIG");
    expect(all()).to.deep.equal([]);
  });

  it("holds up its feeders while too much waits for the disk", async () => {
    const { file } = await store(["a"]);
    file.remove();
    expect(spool.room).to.equal(undefined);
    const large = spool.file({}, { wrote: () => {}, stored: () => {} });
    for (let count = 0; count < 40; count++) large.write(Buffer.alloc(1024 * 1024));
    const { room } = spool;
    expect(room).to.be.a("promise");
    await room;
    large.remove();
  });

  it("removes everything when it closes", async () => {
    await store(["a"]);
    await store(["b"]);
    const half = spool.file({}, { wrote: () => {}, stored: () => {} });
    half.write(Buffer.alloc(100_000));
    await spool.close();
    expect(all()).to.deep.equal([]);
  });

  it("cleans up after dead processes, and touches nothing else", async () => {
    const make = (name: string, ...files: string[]) => {
      mkdirSync(join(base, name, "own-own"), { recursive: true });
      for (const file of files) writeFileSync(join(base, name, file), "x");
      return name;
    };
    // Process ids are below 2^22: this one has never been.
    const dead = make(`${prefixOf(processWorld(), 99_999_999, "1")}abc`, "own-own/upload1", "own-own/upload2");
    const alive = make(`${prefixOf(processWorld(), process.pid, birthOf(process.pid)!)}abc`, "own-own/upload1");
    const elsewhere = make(`${prefixOf("00000000", 99_999_999, "1")}abc`, "own-own/upload1");
    const foreign = make("php-uploads", "own-own/upload1");
    const mixed = make(`${prefixOf(processWorld(), 99_999_998, "1")}abc`, "own-own/upload1", "own-own/notes.txt");
    const link = `${prefixOf(processWorld(), 99_999_997, "1")}abc`;
    symlinkSync(join(base, foreign), join(base, link));
    await spool.clean();
    expect(readdirSync(base)).to.have.members([alive, elsewhere, foreign, mixed, link]);
    expect(readdirSync(join(base, mixed, "own-own"))).to.deep.equal(["notes.txt"]);
    expect(existsSync(join(base, foreign, "own-own/upload1"))).to.equal(true);
    expect(lines.filter(({ level }) => level === "info").map(({ fields }) => fields)).to.deep.equal([
      { path: join(base, dead), files: 2 },
    ]);
    expect(lines.filter(({ level }) => level === "warn")).to.have.length(1);
  });
});
