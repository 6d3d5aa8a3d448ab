import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { loadConfiguration } from "../../../src/config/load.ts";
import { ROOT } from "../../support/php.ts";

describe("docs/reload.md", () => {
  const page = readFileSync(join(ROOT, "docs/reload.md"), "utf8");
  const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text!);

  function loaded(example: string) {
    const text = `version: "3"\nserver: {command: php w.php}\nhttp: {address: "127.0.0.1:0"}\n${example}`;
    const { configuration } = loadConfiguration({
      file: "/app/.rr.yaml",
      cwd: "/app",
      env: {},
      overrides: [],
      readFile: (path) => (path === "/app/.rr.yaml" ? { text } : { error: "it is not there" }),
    });
    return configuration;
  }

  it("has examples that mean what the text says", () => {
    const common = { recursive: true, patterns: [".php"], ignore: ["storage"], pools: ["http"] };
    const all = { ...common, key: "reload.dirs", dirs: ["/app"] };
    const named = { ...common, key: "reload.services.http.dirs", dirs: ["/app/src"] };
    expect(examples.map((example) => loaded(example).reload)).to.deep.equal(
      [all, named, all].map((rule) => ({ intervalMs: 200, polling: false, rules: [rule] })),
    );
    expect(examples.map((example) => loaded(example).http!.browserReload)).to.deep.equal([
      undefined,
      undefined,
      { path: "/.rr/reload" },
    ]);
  });
});
