import { readdirSync, readlinkSync } from "node:fs";
import { type FileHandle, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { silentLog } from "../../../src/log.ts";
import { Spill, type SpillEntry } from "../../../src/spool/spill.ts";
import { Spool } from "../../../src/spool/spool.ts";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const BLOCK = 64 * 1024;

describe("Spill", () => {
  let base: string;
  let spool: Spool;
  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), "rr-spill-test-"));
    spool = new Spool({ directory: base, bytesMax: 0 }, silentLog);
  });
  afterEach(async () => {
    await spool.close();
    expect(readdirSync(base)).to.deep.equal([]);
    await rm(base, { recursive: true });
  });

  /** Bytes that tell where they belong. */
  const bytes = (from: number, count: number) => Buffer.from(Uint8Array.from({ length: count }, (_, at) => from + at));
  const stored = (entry: SpillEntry) => eventually("it was written", () => entry.hasRoom);
  async function readAll(entry: SpillEntry, pieceBytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    while (entry.bytes > 0) {
      const part = await entry.read(pieceBytes);
      expect(part.length).to.be.at.most(pieceBytes);
      parts.push(part);
      if (part.length === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return Buffer.concat(parts);
  }
  /** Files that are open and have no name, of this spool. */
  const openFiles = () =>
    readdirSync("/proc/self/fd").filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(base);
      } catch {
        return false;
      }
    }).length;

  it("gives back what it was given, in order, however it is cut, while more comes", async () => {
    const spill = spool.spill(100 * BLOCK, () => {});
    const entries = Array.from({ length: 5 }, () => spill.entry(100 * BLOCK, () => {}));
    const given = entries.map(() => [] as Buffer[]);
    const taken = entries.map(() => [] as Buffer[]);
    for (let round = 0; round < 40; round++)
      for (const [at, entry] of entries.entries()) {
        const data = bytes(round * 7 + at, 1 + ((round * 7919 + at * 104_729) % 30_000));
        given[at]!.push(data);
        entry.write(data.subarray(0, 10), data.subarray(10));
        if ((round + at) % 3 === 0) taken[at]!.push(await entry.read(20_000));
      }
    for (const [at, entry] of entries.entries()) {
      taken[at]!.push(await readAll(entry, 10_000));
      expect(Buffer.concat(taken[at]!).equals(Buffer.concat(given[at]!)), `entry ${at}`).to.equal(true);
      entry.release();
    }
    await eventually("nothing was taken", () => spill.bytes === 0);
  });

  it("is one file without a name for all, and none when nothing waits", async function () {
    if (process.platform !== "linux") return this.skip();
    const spill = spool.spill(1000 * BLOCK, () => {});
    const entries = Array.from({ length: 50 }, () => spill.entry(10 * BLOCK, () => {}));
    for (const entry of entries) entry.write(bytes(0, 2 * BLOCK));
    for (const entry of entries) await stored(entry);
    await eventually("all was on the disk", () => spill.bytes === 100 * BLOCK);
    expect(openFiles()).to.equal(1);
    for (const entry of entries) entry.release();
    await eventually("nothing was taken", () => spill.bytes === 0);
    await eventually("the file was closed", () => openFiles() === 0);
  });

  it("has an end, for each and for all together, and goes on when there is room again", async () => {
    const spill = spool.spill(4 * BLOCK, () => {});
    const one = spill.entry(3 * BLOCK, () => {});
    one.write(bytes(0, 3 * BLOCK));
    await eventually("it was written", () => spill.bytes === 3 * BLOCK);
    expect(one.hasRoom).to.equal(false);
    const other = spill.entry(3 * BLOCK, () => {});
    other.write(bytes(1, 2 * BLOCK));
    await eventually("all blocks were taken", () => spill.bytes === 4 * BLOCK);
    expect([other.hasRoom, spill.available]).to.deep.equal([false, false]);
    // What did not fit is in memory, and not lost.
    expect((await readAll(one, BLOCK)).equals(bytes(0, 3 * BLOCK))).to.equal(true);
    expect((await readAll(other, BLOCK)).equals(bytes(1, 2 * BLOCK))).to.equal(true);
    expect(other.hasRoom).to.equal(true);
    one.release();
    other.release();
  });

  it("keeps what the disk refuses, tells it, and leaves the disk alone for a while", async () => {
    const clock = new ManualClock();
    const problems: unknown[] = [];
    let full = false;
    const spill = new Spill({
      open: async () => {
        const handle = await spool.openNameless();
        return new Proxy(handle, {
          get: (target, key) => {
            if (key === "writev" && full)
              return () => Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" }));
            const value = Reflect.get(target, key);
            return typeof value === "function" ? value.bind(target) : value;
          },
        }) as FileHandle;
      },
      bytesMax: 100 * BLOCK,
      monotonicMs: () => clock.monotonicMs(),
      problem: (thrown) => problems.push(thrown),
    });
    const entry = spill.entry(100 * BLOCK, () => {});
    entry.write(bytes(0, BLOCK + 100));
    await stored(entry);
    await eventually("it was written", () => spill.bytes === 2 * BLOCK);
    full = true;
    entry.write(bytes(BLOCK + 100, 3 * BLOCK));
    await eventually("it was told", () => problems.length > 0);
    expect([entry.hasRoom, spill.available]).to.deep.equal([false, false]);
    clock.advance(10_000);
    full = false;
    expect(spill.available).to.equal(true);
    expect((await readAll(entry, 50_000)).equals(bytes(0, 4 * BLOCK + 100))).to.equal(true);
    entry.release();
    await spill.close();
  });

  it("gives all back when somebody leaves in the middle of a write or a read", async () => {
    const spill = spool.spill(100 * BLOCK, () => {});
    const entry = spill.entry(100 * BLOCK, () => {});
    entry.write(bytes(0, 8 * BLOCK));
    entry.release();
    const other = spill.entry(100 * BLOCK, () => {});
    other.write(bytes(0, 2 * BLOCK));
    await eventually("it was written", () => other.hasRoom && spill.bytes >= 2 * BLOCK);
    const reading = other.read(BLOCK);
    other.release();
    await reading;
    await eventually("nothing was taken", () => spill.bytes === 0);
  });
});
