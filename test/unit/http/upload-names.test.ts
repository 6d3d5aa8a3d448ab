import { expect } from "chai";
import { extensionsOf, isForbidden, withoutControls } from "../../../src/http/upload-names.ts";

describe("names of uploads", () => {
  for (const [name, extension] of [
    ["photo.JPG", ".jpg"],
    ["archive.tar.gz", ".gz"],
    ["shell.php. ", ".php"],
    ["shell.php...", ".php"],
    [".htaccess", ".htaccess"],
    ["shell.php\u00a0", ".php"],
    ["none", ""],
    ["", ""],
  ] as const)
    it(`have the extension "${extension}": ${JSON.stringify(name)}`, () =>
      expect(extensionsOf(name)).to.deep.equal([extension]));

  it("are refused if they are forbidden, or not among those that are allowed", () => {
    const rules = { forbid: [".php"], allow: [".jpg", ".php"] };
    expect(["a.php", "a.jpg", "a.png", "a"].map((name) => isForbidden(name, rules))).to.deep.equal([
      true,
      false,
      true,
      true,
    ]);
    const php = { forbid: [".php"], allow: [] };
    for (const name of ["x.php::$DATA", "x.PHP:a.txt", "a.txt:x.php", "x.php .", "x.php::$INDEX_ALLOCATION. "])
      expect(isForbidden(name, php), name).to.equal(true);
    for (const name of ["x.php.jpg", "php", "x.phpx", "a:b"]) expect(isForbidden(name, php), name).to.equal(false);
    expect(isForbidden("x.jpg:y.exe", { forbid: [], allow: [".jpg"] })).to.equal(true);
    expect(isForbidden("a", { forbid: [".php"], allow: [] })).to.equal(false);
  });

  it("lose what no file system shows", () => expect(withoutControls("a\u0000b\nc\u007fd")).to.equal("abcd"));
});
