import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { constants, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { Deadline } from "../../../src/async/deadline.ts";
import { systemClock } from "../../../src/clock.ts";
import { filePlace, type LogChannel, type LogPlace } from "../../../src/log/log-channel.ts";
import { LogWriter } from "../../../src/log/log-writer.ts";
import { eventually, within } from "../../support/eventually.ts";
import { ManualClock } from "../../support/manual-clock.ts";

interface Told {
  failing: string[];
  recovered: number[];
}

function observed(place: LogPlace, clock = systemClock): { writer: LogWriter; told: Told } {
  const told: Told = { failing: [], recovered: [] };
  const writer = new LogWriter(place, clock, {
    failing: ({ problem }) => told.failing.push(problem),
    recovered: (_trouble, lost) => told.recovered.push(lost),
  });
  return { writer, told };
}

/** A place whose every operation the test decides. */
class FakePlace implements LogPlace {
  readonly name = "fake";
  text = "";
  opened = 0;
  closed = 0;
  /** Codes that the next opens and writes fail with; undefined: it goes well. */
  openFailures: (string | undefined)[] = [];
  writeFailures: (string | undefined)[] = [];
  /** Bytes of the next writes. */
  takes: number[] = [];
  moved = false;

  async open(): Promise<LogChannel> {
    return this.openNow();
  }

  openNow(): LogChannel {
    this.opened++;
    fail(this.openFailures.shift());
    const take = (bytes: Buffer) => {
      fail(this.writeFailures.shift());
      const count = Math.min(bytes.length, this.takes.shift() ?? bytes.length);
      this.text += bytes.toString("utf8", 0, count);
      return count;
    };
    return {
      batchBytesMax: 20,
      write: async (bytes) => take(bytes),
      writeNow: take,
      outdated: async () => this.moved,
      close: () => void this.closed++,
    };
  }
}

function fail(code: string | undefined): void {
  if (code !== undefined) throw Object.assign(new Error(code), { code });
}

function lineCount(text: string): number {
  return new Set(
    text
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { number: number }).number),
  ).size;
}

describe("LogWriter", () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-log-"));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  describe("decides", () => {
    let place: FakePlace;
    let clock: ManualClock;
    let writer: LogWriter;
    let told: Told;
    beforeEach(() => {
      place = new FakePlace();
      clock = new ManualClock();
      ({ writer, told } = observed(place, clock));
    });

    it("writes in order, however little is taken at a time", async () => {
      place.takes = [1, 2, 3];
      for (let number = 0; number < 20; number++) writer.write(`line ${number}\n`);
      await writer.settled();
      expect(place.text).to.equal(Array.from({ length: 20 }, (_, number) => `line ${number}\n`).join(""));
    });

    it("keeps lines while the disk is full, tells once, and writes them when there is room", async () => {
      place.writeFailures = ["ENOSPC", "ENOSPC", "ENOSPC"];
      writer.write("a\n");
      await clock.advanceAsync(0);
      writer.write("b\n");
      await clock.advanceAsync(2_500);
      expect([place.text, told.failing, told.recovered]).to.deep.equal(["", ["ENOSPC"], []]);
      await clock.advanceAsync(1_000);
      expect([place.text, told.failing, told.recovered]).to.deep.equal(["a\nb\n", ["ENOSPC"], [0]]);
      expect(clock.timers).to.equal(0);
    });

    it("drops what finds no room, and counts it", async () => {
      place.openFailures = ["EACCES"];
      const line = `${"x".repeat(1023)}\n`;
      for (let number = 0; number < 1100; number++) writer.write(line);
      await clock.advanceAsync(0);
      expect(writer.pendingBytes).to.be.at.most(1024 * 1024);
      expect(writer.droppedLines).to.equal(1100 - 1024);
      await clock.advanceAsync(1_000);
      await writer.settled();
      expect(place.text.length).to.equal(1024 * 1024);
      expect(told.recovered).to.deep.equal([1100 - 1024]);
      writer.write("again\n");
      await writer.settled();
      expect(place.text.endsWith("again\n")).to.equal(true);
    });

    it("waits for a reader without calling it a failure", async () => {
      place.writeFailures = ["EAGAIN", "EAGAIN"];
      writer.write("a\n");
      await clock.advanceAsync(40);
      expect([place.text, told.failing]).to.deep.equal(["a\n", []]);
    });

    it("says so when a reader is too slow", async () => {
      place.writeFailures = Array.from({ length: 10 }, () => "EAGAIN");
      const line = `${"x".repeat(65_535)}\n`;
      for (let number = 0; number < 20; number++) writer.write(line);
      await clock.advanceAsync(10);
      expect(told.failing).to.have.length(1);
      await clock.advanceAsync(1_000);
      await writer.settled();
      expect(told.recovered).to.deep.equal([4]);
    });

    it("does not go on with half a line in another file", async () => {
      place.takes = [3];
      place.writeFailures = [undefined, "EIO"];
      writer.write("first\n");
      await clock.advanceAsync(0);
      writer.write("second\n");
      await clock.advanceAsync(1_000);
      expect(place.text).to.equal("fir\nsecond\n");
      expect([place.opened, place.closed]).to.deep.equal([2, 1]);
    });

    it("finishes the line when a full disk has room again", async () => {
      place.takes = [3];
      place.writeFailures = [undefined, "ENOSPC"];
      writer.write("first\n");
      await clock.advanceAsync(1_000);
      expect([place.text, place.opened]).to.deep.equal(["first\n", 1]);
    });

    it("opens anew when the name means something else, and when it is told to", async () => {
      writer.write("a\n");
      await writer.settled();
      place.moved = true;
      await clock.advanceAsync(1_000);
      writer.write("b\n");
      await writer.settled();
      expect(place.opened).to.equal(2);
      place.moved = false;
      writer.reopen();
      await writer.settled();
      expect([place.opened, place.closed, place.text]).to.deep.equal([3, 2, "a\nb\n"]);
    });

    it("leaves nothing behind at an end that comes at once", () => {
      writer.write("a\n");
      writer.write("b\n");
      writer.writeNow(Deadline.after(0));
      expect(place.text).to.equal("a\nb\n");
      writer.write("c\n");
      expect([place.text, writer.droppedLines]).to.deep.equal(["a\nb\n", 1]);
    });
  });

  describe("writes to", () => {
    const of = (name: string) => join(directory, name);

    it("a file, whose folder it makes, also when both are removed or moved away", async () => {
      const path = of("logs/app/rr.log");
      const { writer, told } = observed(filePlace(path));
      writer.write("one\n");
      await writer.settled();
      renameSync(path, `${path}.1`);
      writer.reopen();
      writer.write("two\n");
      await writer.settled();
      expect(readFileSync(`${path}.1`, "utf8")).to.equal("one\n");
      expect(readFileSync(path, "utf8")).to.equal("two\n");
      rmSync(of("logs"), { recursive: true });
      await eventually("the file was made anew", () => {
        writer.write("three\n");
        return existsSync(path);
      });
      await writer.settled();
      expect(readFileSync(path, "utf8")).to.match(/^(three\n)+$/);
      expect(told.failing).to.deep.equal([]);
      writer.writeNow(Deadline.after(0));
    });

    it("a device without room", async function () {
      if (!existsSync("/dev/full")) this.skip();
      const { writer, told } = observed(filePlace("/dev/full"));
      for (let number = 0; number < 100; number++) writer.write("x\n");
      await writer.settled();
      expect(told.failing).to.have.length(1);
      expect(told.failing[0]).to.contain("ENOSPC");
      writer.writeNow(Deadline.after(0));
    });

    it("a folder: it says so, and takes the file once it can be there", async () => {
      await mkdir(of("taken"));
      const { writer, told } = observed(filePlace(of("taken")));
      writer.write("x\n");
      await writer.settled();
      expect(told.failing[0]).to.contain("EISDIR");
      rmSync(of("taken"), { recursive: true });
      writer.reopen();
      await writer.settled();
      expect(await readFile(of("taken"), "utf8")).to.equal("x\n");
      expect(told.recovered).to.deep.equal([0]);
      writer.writeNow(Deadline.after(0));
    });

    it("a fifo that nobody reads, and then somebody, and then nobody", async function () {
      if (process.platform === "win32") this.skip();
      const path = of("fifo");
      execFileSync("mkfifo", [path]);
      const { writer, told } = observed(filePlace(path));
      writer.write("unread\n");
      await within(2_000, "the writer gave up waiting", writer.settled());
      expect(told.failing[0]).to.contain("ENXIO");
      const reader = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      writer.reopen();
      await writer.settled();
      expect((await reader.read(Buffer.alloc(100), 0, 100)).buffer.toString("utf8", 0, 7)).to.equal("unread\n");
      // Its 64 KB are full, and the rest waits.
      for (let number = 0; number < 100; number++) writer.write(`${"x".repeat(999)}\n`);
      await eventually("the fifo was full", () => writer.pendingBytes > 0 && writer.pendingBytes < 50_000);
      expect(told.failing).to.have.length(1);
      await reader.close();
      await eventually("it was told that nobody reads", () => told.failing.length === 2);
      expect(told.failing[1]).to.contain("EPIPE");
      writer.writeNow(Deadline.after(0));
    });

    it("a file system that fills up and is freed", async function () {
      this.timeout(20_000);
      const mount = of("small");
      await mkdir(mount);
      try {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], { stdio: "ignore" });
      } catch {
        this.skip();
      }
      try {
        const { writer, told } = observed(filePlace(join(mount, "rr.log")));
        await writeFile(join(mount, "other"), Buffer.alloc(60 * 1024));
        for (let number = 0; number < 40; number++)
          writer.write(`${String(number).padStart(3, "0")}${"x".repeat(996)}\n`);
        await writer.settled();
        expect(told.failing[0]).to.contain("ENOSPC");
        rmSync(join(mount, "other"));
        await eventually("all was written", () => told.recovered.length === 1);
        const lines = readFileSync(join(mount, "rr.log"), "utf8").trimEnd().split("\n");
        expect(lines.map((line) => [Number(line.slice(0, 3)), line.length])).to.deep.equal(
          Array.from({ length: 40 }, (_, number) => [number, 999]),
        );
        writer.writeNow(Deadline.after(0));
      } finally {
        execFileSync("umount", ["-l", mount]);
      }
    });
  });

  it("loses nothing when the process ends at once after the last line", async () => {
    const path = join(directory, "end.log");
    const script = `
      const { LogOutput } = await import(${JSON.stringify(new URL("../../../src/log/log-output.ts", import.meta.url).href)});
      const output = new LogOutput(
        { mode: "production", level: "info", encoding: "json", output: [${JSON.stringify(path)}, "stderr"], channelLevels: {} },
        { colours: { stdout: false, stderr: false } },
      );
      process.on("exit", () => output.end());
      for (let number = 0; number < 3000; number++) output.log.info({ number }, "x");
      setImmediate(() => {
        for (let number = 3000; number < 3100; number++) output.log.info({ number }, "x");
        if (process.argv.includes("--flush")) void output.flush(5_000).then(() => process.exit(0));
        else process.exit(0);
      });`;
    for (const last of [[], ["--flush"]]) {
      rmSync(path, { force: true });
      const args = ["--import", "tsx", "--input-type=module", "-e", script, "--", ...last];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
      let errors = "";
      child.stderr.on("data", (chunk) => {
        errors += chunk;
      });
      await once(child, "close");
      expect(lineCount(await readFile(path, "utf8"))).to.equal(3100);
      // A pipe has a reader, who may be too slow for an end that comes at once.
      if (last.length > 0) expect(lineCount(errors)).to.equal(3100);
    }
  });
});
