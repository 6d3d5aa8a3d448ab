import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { FileWatcher } from "../../../src/reload/file-watcher.ts";
import { eventually } from "../../support/eventually.ts";

/** What stands in a watched folder is not the server's business: it may be anything. */
describe("FileWatcher", () => {
  let directory: string;
  let watcher: FileWatcher | undefined;

  before(function () {
    if (process.platform === "win32") this.skip();
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-watcher-"));
  });
  afterEach(async () => {
    await watcher?.close();
    watcher = undefined;
    rmSync(directory, { recursive: true, force: true });
  });

  async function watching(dirs: readonly string[], polling: boolean) {
    const seen = { changed: [] as string[], missing: [] as string[], found: [] as string[], refused: [] as string[] };
    watcher = new FileWatcher({
      dirs,
      intervalMs: 50,
      polling,
      ignored: () => false,
      changed: (path) => seen.changed.push(path),
      refused: (reason) => seen.refused.push(reason),
      failed: () => {},
      missing: (dir) => seen.missing.push(dir),
      found: (dir) => seen.found.push(dir),
    });
    await watcher.start();
    return seen;
  }

  for (const polling of [false, true])
    it(`goes on whatever links, pipes and locked folders there are${polling ? ", by polling" : ""}`, async () => {
      mkdirSync(join(directory, "sub/deep"), { recursive: true });
      symlinkSync("..", join(directory, "sub/up"));
      symlinkSync("../..", join(directory, "sub/deep/up"));
      symlinkSync("nowhere", join(directory, "broken"));
      symlinkSync("round", join(directory, "and-round"));
      symlinkSync("and-round", join(directory, "round"));
      execFileSync("mkfifo", [join(directory, "pipe"), join(directory, ".gitignore")]);
      mkdirSync(join(directory, "locked"));
      chmodSync(join(directory, "locked"), 0);
      const file = join(directory, "sub/code.php");
      writeFileSync(file, "1");
      const seen = await watching([directory], polling);
      writeFileSync(file, "12");
      await eventually("the change was seen", () => seen.changed.some((path) => path.endsWith("code.php")));
      expect(seen.refused).to.deep.equal([]);
      chmodSync(join(directory, "locked"), 0o700);
    });

  it("takes a folder that is a link in a circle for one that is missing, until it is none", async () => {
    const dir = join(directory, "app");
    symlinkSync("other", dir);
    symlinkSync("app", join(directory, "other"));
    const seen = await watching([dir], false);
    expect(seen.missing).to.deep.equal([dir]);
    mkdirSync(join(directory, "real"));
    rmSync(dir);
    renameSync(join(directory, "real"), dir);
    await eventually("it was found", () => seen.found.includes(dir));
    // While it is watched it turns into a circle again.
    rmSync(dir, { recursive: true });
    symlinkSync("other", dir);
    await eventually("it was missed", () => seen.missing.length === 2);
  });
});
