import { expect } from "chai";
import { parseDurationMs, parseInteger, parsePid, parseSinceMs } from "../../../cli/values.ts";
import { RrError } from "../../../src/errors.ts";

describe("cli values", () => {
  const durations: [string, number][] = [
    ["500ms", 500],
    ["30s", 30_000],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["2d", 172_800_000],
    ["250us", 0.25],
    ["10", 10_000],
    ["0", 0],
  ];
  for (const [text, expectedMs] of durations)
    it(`reads the duration ${text}`, () => {
      expect(parseDurationMs("--timeout", text)).to.be.closeTo(expectedMs, 1e-9);
    });

  for (const text of ["", "soon", "-5s", "5 s", "s", "5x", "1s garbage"])
    it(`refuses the duration ${JSON.stringify(text)}`, () => {
      expect(() => parseDurationMs("--timeout", text))
        .to.throw(RrError, `--timeout "${text}": expected a duration`)
        .with.property("reason", "INVALID_REQUEST");
    });

  it("reads moments as durations before now or as times", () => {
    expect(parseSinceMs("--since", "5m", 1_000_000)).to.equal(700_000);
    expect(parseSinceMs("--since", "2026-03-01T12:00:00Z", 0)).to.equal(Date.UTC(2026, 2, 1, 12));
    for (const text of ["yesterday", "2026-13-45", ""])
      expect(() => parseSinceMs("--since", text, 0), text).to.throw(RrError, "expected a");
  });

  it("reads whole numbers within bounds", () => {
    expect(parseInteger("--limit", "10", 1, 10)).to.equal(10);
    for (const text of ["0", "11", "1.5", "1e1", "ten", "", " 5"])
      expect(() => parseInteger("--limit", text, 1, 10), text).to.throw(
        RrError,
        `--limit "${text}": expected a whole number from 1 to 10`,
      );
    expect(() => parsePid("0")).to.throw(RrError, 'pid "0"');
  });
});
