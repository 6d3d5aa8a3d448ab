import { expect } from "chai";
import { ansi, colourWanted } from "../../../cli/output/colour.ts";
import { renderPairs, renderTable } from "../../../cli/output/table.ts";

describe("cli table", () => {
  const columns = [{ header: "NAME" }, { header: "SIZE", align: "right" as const }, { header: "TEXT" }];

  it("aligns columns under their headers, without blanks at line ends", () => {
    const text = renderTable(columns, [
      ["a", "5", "first"],
      ["longer name", "12345", ""],
    ]);
    expect(text).to.equal("NAME          SIZE  TEXT\na                5  first\nlonger name  12345\n");
  });

  it("shows the header alone without rows", () => {
    expect(renderTable(columns, [])).to.equal("NAME  SIZE  TEXT\n");
  });

  it("cuts the last column to the terminal's width, and only there", () => {
    const rows = [["a", "5", "a text that is too long"]];
    const lines = renderTable(columns, rows, { columns: 24 }).split("\n");
    expect(lines[1]).to.equal("a        5  a text that…");
    expect(renderTable(columns, rows)).to.contain("too long");
  });

  it("never cuts the last column below its header", () => {
    expect(renderTable(columns, [["a", "5", "long text"]], { columns: 3 })).to.equal(
      "NAME  SIZE  TEXT\na        5  lon…\n",
    );
  });

  it("keeps columns aligned with wide characters and colours", () => {
    const text = renderTable(
      columns,
      [
        [{ text: "日本", colour: "green" }, "1", "x"],
        ["abcd", "2", "y"],
      ],
      { paint: ansi },
    );
    const control = String.fromCharCode(27);
    const visible = text.replaceAll(new RegExp(`${control}\\[\\d+m`, "g"), "");
    expect(visible).to.equal("NAME  SIZE  TEXT\n日本     1  x\nabcd     2  y\n");
    expect(text).to.contain("\x1b[32m日本\x1b[39m");
    expect(text).to.contain("\x1b[1mNAME\x1b[22m");
  });

  it("lets no escape sequence of a value reach the terminal", () => {
    expect(renderTable([{ header: "X" }], [["\x1b[2Jgone\nline"]])).to.equal("X\n\ufffd[2Jgone line\n");
  });

  it("writes pairs below each other", () => {
    expect(
      renderPairs([
        ["up", "3h"],
        ["core memory", "80 MB"],
      ]),
    ).to.equal("up           3h\ncore memory  80 MB\n");
  });
});

describe("cli colours", () => {
  const table: [string, Record<string, string>, boolean, boolean][] = [
    ["on a terminal", {}, true, true],
    ["not in a file or pipe", {}, false, false],
    ["not with NO_COLOR", { NO_COLOR: "1" }, true, false],
    ["on a terminal with an empty NO_COLOR", { NO_COLOR: "" }, true, true],
    ["in a pipe with FORCE_COLOR", { FORCE_COLOR: "1" }, false, true],
    ["with FORCE_COLOR above NO_COLOR", { FORCE_COLOR: "1", NO_COLOR: "1" }, false, true],
    ["not with FORCE_COLOR=0", { FORCE_COLOR: "0" }, true, false],
    ["not on a dumb terminal", { TERM: "dumb" }, true, false],
  ];
  for (const [name, env, isTerminal, expected] of table)
    it(`are used ${name}`.replace("used not", "not used"), () => {
      expect(colourWanted(env, isTerminal)).to.equal(expected);
    });
});
