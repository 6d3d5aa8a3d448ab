import { expect } from "chai";
import { extensionOf, isForbidden, withoutControls } from "../../../src/http/upload-names.ts";

describe("names of uploads", () => {
  for (const [name, extension] of [
    ["photo.JPG", ".jpg"],
    ["archive.tar.gz", ".gz"],
    ["shell.php. ", ".php"],
    ["shell.php...", ".php"],
    [".htaccess", ".htaccess"],
    ["none", ""],
    ["", ""],
  ] as const)
    it(`have the extension "${extension}": ${JSON.stringify(name)}`, () =>
      expect(extensionOf(name)).to.equal(extension));

  it("are refused if they are forbidden, or not among those that are allowed", () => {
    const rules = { forbid: [".php"], allow: [".jpg", ".php"] };
    expect(["a.php", "a.jpg", "a.png", "a"].map((name) => isForbidden(name, rules))).to.deep.equal([
      true,
      false,
      true,
      true,
    ]);
    expect(isForbidden("a", { forbid: [".php"], allow: [] })).to.equal(false);
  });

  it("lose what no file system shows", () => expect(withoutControls("a\u0000b\nc\u007fd")).to.equal("abcd"));
});
