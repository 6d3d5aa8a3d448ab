import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { currentDirectory } from "../../../cli/current-directory.ts";

describe("the folder that rrctl is started in", () => {
  it("keeps the link by which the shell went there, and believes nothing else", function () {
    if (process.platform === "win32") return this.skip();
    const base = realpathSync(mkdtempSync(join(tmpdir(), "rrctl-cwd-")));
    const release = join(base, "releases/1");
    mkdirSync(release, { recursive: true });
    const link = join(base, "current");
    symlinkSync("releases/1", link);
    expect(currentDirectory(link, release)).to.equal(link);
    for (const wrong of [undefined, "", "current", base, "/no/such/folder"])
      expect(currentDirectory(wrong, release), String(wrong)).to.equal(release);
    rmSync(base, { recursive: true });
  });
});
