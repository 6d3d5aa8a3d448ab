import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "chai";
import { GitIgnore } from "../../../src/reload/git-ignore.ts";
import { skip } from "../../support/php.ts";

describe("reload .gitignore", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-gitignore-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  };
  const ignores = (git: GitIgnore, path: string) =>
    git.ignores(join(directory, path.replace(/\/$/, "")), path.endsWith("/"));

  it("leaves out what its lines name, folders and exceptions included", () => {
    write(".gitignore", "/build/\n*.cache.php\n!keep.cache.php\n");
    const git = new GitIgnore([directory]);
    for (const [path, expected] of Object.entries({
      "build/": true,
      "build/x.php": true,
      "src/build/x.php": false,
      "src/a.cache.php": true,
      "src/keep.cache.php": false,
      "src/a.php": false,
    }))
      expect(ignores(git, path), path).to.equal(expected);
  });

  it("reads those of folders below, which have the last word there, and nowhere else", () => {
    write(".gitignore", "*.tmp.php\n/closed/\n");
    write("src/.gitignore", "/generated\n!wanted.tmp.php\n");
    write("src/deep/.gitignore", "*.php\n");
    write("closed/.gitignore", "!*\n");
    const git = new GitIgnore([directory]);
    for (const [path, expected] of Object.entries({
      "a.tmp.php": true,
      "generated/x.php": false,
      "src/generated/": true,
      "src/generated/x.php": true,
      "src/generated/more/x.php": true,
      "src/wanted.tmp.php": false,
      "src/other.tmp.php": true,
      "src/deep/x.php": true,
      "src/deep/x.twig": false,
      "src/x.php": false,
      // What is in a folder that is left out cannot be brought back.
      "closed/x.php": true,
    }))
      expect(ignores(git, path), path).to.equal(expected);
  });

  it("agrees with git", function () {
    try {
      execFileSync("git", ["init", "-q", directory], { stdio: "ignore" });
    } catch {
      return skip(this, "git is not installed");
    }
    write(".gitignore", "logs/\n*.log\n!important.log\n/a/**/z.php\n\\#odd.php\n");
    write("a/.gitignore", "b/*\n!b/keep.php\n");
    write("a/c/.gitignore", "/*.php\n!/one.php\nlogs\n");
    const paths = ["logs/x.php", "x.log", "important.log", "a/z.php", "a/q/z.php", "a/q/r/z.php", "#odd.php"].concat(
      ["a/b/x.php", "a/b/keep.php", "a/b/d/x.php", "a/c/one.php", "a/c/two.php", "a/c/d/two.php", "a/c/logs/x.php"],
      ["a/logs/important.log", "a/important.log", "a/d/b/x.php"],
    );
    const git = new GitIgnore([join(directory, "a/c"), directory]);
    for (const path of paths) write(path, "");
    const listed = execFileSync("git", ["-C", directory, "ls-files", "-o", "--exclude-standard"], { encoding: "utf8" });
    const expected = paths.filter((path) => !listed.split("\n").includes(path));
    expect(expected).to.have.length.within(5, paths.length - 3);
    expect(paths.filter((path) => ignores(git, path))).to.deep.equal(expected);
  });

  it("counts from the repository, if the folder is in one", () => {
    mkdirSync(join(directory, ".git"));
    write(".gitignore", "/app/cache/\n");
    expect(ignores(new GitIgnore([join(directory, "app")]), "app/cache/x.php")).to.equal(true);
  });

  it("says nothing of the folder itself and of what is outside", () => {
    write(".gitignore", "*\n");
    const git = new GitIgnore([directory]);
    expect(git.ignores(directory, true)).to.equal(false);
    expect(ignores(git, "../x.php")).to.equal(false);
  });

  it("leaves out nothing if there is none, until there is one", () => {
    const git = new GitIgnore([directory]);
    expect(ignores(git, "src/x.php")).to.equal(false);
    write("src/.gitignore", "x.php\n");
    git.forget();
    expect(ignores(git, "src/x.php")).to.equal(true);
  });
});
