import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { VERSION } from "../src/version.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** Whatever restates something else in this repository says the same as its source. */
describe("generated files", function () {
  this.timeout(60_000);

  it("gen/ is what buf makes of proto/", () => {
    const directory = mkdtempSync(join(tmpdir(), "rrctl-gen-"));
    try {
      run("node_modules/@bufbuild/buf/bin/buf", "generate", "-o", directory);
      const expected = textsIn(join(directory, "gen"));
      const committed = textsIn(join(ROOT, "gen"));
      expect([...committed.keys()], "files of gen/; run: npm run gen").to.deep.equal([...expected.keys()]);
      const outdated = [...expected].filter(([path, text]) => committed.get(path) !== text).map(([path]) => path);
      expect(outdated, "outdated files of gen/; run: npm run gen").to.deep.equal([]);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("docs/ says what the tables of the program say", () => {
    run("--import", import.meta.resolve("tsx"), "scripts/generate-docs.mjs", "--check");
  });

  it("the version is that of package.json", () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    expect(VERSION).to.equal(version);
  });
});

/** Runs Node; what it prints is the message if it fails. */
function run(...argv: string[]): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { cwd: ROOT, encoding: "utf8" });
  expect(status, `${stdout}${stderr}`).to.equal(0);
}

function textsIn(directory: string, path = ""): Map<string, string> {
  const entries = readdirSync(join(directory, path), { withFileTypes: true }).sort((one, other) =>
    one.name < other.name ? -1 : 1,
  );
  return new Map(
    entries.flatMap((entry) => {
      const name = join(path, entry.name);
      return entry.isDirectory()
        ? [...textsIn(directory, name)]
        : [[name, readFileSync(join(directory, name), "utf8")] as const];
    }),
  );
}
