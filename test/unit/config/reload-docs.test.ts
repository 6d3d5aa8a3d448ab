import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { loadConfiguration } from "../../../src/config/load.ts";
import { ROOT } from "../../support/php.ts";

describe("docs/reload.md", () => {
  it("has an example that is a valid configuration", () => {
    const [, example] = /```yaml\n(.*?)```/s.exec(readFileSync(join(ROOT, "docs/reload.md"), "utf8"))!;
    const text = `version: "3"\nserver: {command: php w.php}\npools: {a: {}}\n${example}`;
    const { configuration } = loadConfiguration({
      file: "/app/.rr.yaml",
      cwd: "/app",
      env: {},
      overrides: [],
      readFile: (path) => (path === "/app/.rr.yaml" ? { text } : { error: "it is not there" }),
    });
    expect(configuration.reload).to.deep.equal({
      intervalMs: 200,
      polling: false,
      rules: [
        { key: "reload.dirs", pools: ["a"], dirs: ["/app"], recursive: true, patterns: [".php"], ignore: ["storage"] },
      ],
    });
  });
});
