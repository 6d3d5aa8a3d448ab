import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { readGitIgnore } from "../../../src/reload/git-ignore.ts";

describe("reload .gitignore", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-gitignore-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it("leaves out what its lines name, folders and exceptions included", () => {
    writeFileSync(join(directory, ".gitignore"), "/build/\n*.cache.php\n!keep.cache.php\n");
    const ignored = readGitIgnore(directory);
    expect(ignored(join(directory, "build"), true)).to.equal(true);
    expect(ignored(join(directory, "build/x.php"), false)).to.equal(true);
    expect(ignored(join(directory, "src/a.cache.php"), false)).to.equal(true);
    expect(ignored(join(directory, "src/keep.cache.php"), false)).to.equal(false);
    expect(ignored(join(directory, "src/a.php"), false)).to.equal(false);
  });

  it("says nothing of the folder itself and of what is outside", () => {
    writeFileSync(join(directory, ".gitignore"), "*\n");
    const ignored = readGitIgnore(directory);
    expect(ignored(directory, true)).to.equal(false);
    expect(ignored(join(directory, "../x.php"), false)).to.equal(false);
  });

  it("leaves out nothing if there is none", () => {
    expect(readGitIgnore(directory)(join(directory, "x.php"), false)).to.equal(false);
  });
});
