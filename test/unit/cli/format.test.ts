import { expect } from "chai";
import {
  counted,
  formatAge,
  formatBytes,
  formatCount,
  formatDuration,
  formatTime,
  printable,
  textWidth,
  truncate,
} from "../../../cli/output/format.ts";

describe("cli formats", () => {
  const cases = <Input>(name: string, format: (input: Input) => string, table: [Input, string][]) => {
    for (const [input, expected] of table)
      it(`${name}(${typeof input === "bigint" ? `${input}n` : JSON.stringify(input)}) is ${JSON.stringify(expected)}`, () => {
        expect(format(input)).to.equal(expected);
      });
  };

  cases<number | bigint>("formatBytes", formatBytes, [
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [1500, "1.5 kB"],
    [9_949, "9.9 kB"],
    [9_951, "10 kB"],
    [999_499, "999 kB"],
    [999_500, "1.0 MB"],
    [29_100_000n, "29 MB"],
    [1_234_567_890, "1.2 GB"],
    [5e18, "5000 PB"],
  ]);

  cases("formatAge", formatAge, [
    [-5_000, "now"],
    [0, "now"],
    [999, "now"],
    [1_000, "1 second ago"],
    [5_999, "5 seconds ago"],
    [59_999, "59 seconds ago"],
    [60_000, "1 minute ago"],
    [3_599_999, "59 minutes ago"],
    [7_200_000, "2 hours ago"],
    [86_400_000, "1 day ago"],
    [8 * 86_400_000, "1 week ago"],
    [45 * 86_400_000, "1 month ago"],
    [800 * 86_400_000, "2 years ago"],
  ]);

  cases("formatDuration", formatDuration, [
    [0, "0"],
    [-1, "0"],
    [0.0001, "1 µs"],
    [0.35, "350 µs"],
    [0.9996, "1 ms"],
    [1.254, "1.25 ms"],
    [12.34, "12.3 ms"],
    [840.4, "840 ms"],
    [999.6, "1 s"],
    [2_300, "2.3 s"],
    [59_949, "59.9 s"],
    [59_960, "1m"],
    [80_000, "1m 20s"],
    [3_599_900, "1h"],
    [11_100_000, "3h 5m"],
    [187_200_000, "2d 4h"],
  ]);

  cases<number | bigint>("formatCount", formatCount, [
    [0, "0"],
    [999, "999"],
    [1000, "1,000"],
    [1_234_567n, "1,234,567"],
  ]);

  it("counts nouns", () => {
    expect([counted(0, "worker"), counted(1, "worker"), counted(8n, "worker"), counted(2, "process")]).to.deep.equal([
      "0 workers",
      "1 worker",
      "8 workers",
      "2 processes",
    ]);
  });

  it("leaves the date out of today's times only", () => {
    const now = new Date(2026, 2, 1, 18, 0, 0).getTime();
    expect(formatTime(new Date(2026, 2, 1, 14, 3, 7, 20).getTime(), now)).to.equal("14:03:07.020");
    expect(formatTime(new Date(2026, 1, 28, 14, 3, 7, 120).getTime(), now)).to.equal("2026-02-28 14:03:07.120");
  });

  it("lets no control character through", () => {
    expect(printable("a\r\n\tb \x1b[31mred\x07\u009b1m\x00")).to.equal("a b \ufffd[31mred\ufffd\ufffd1m\ufffd");
  });

  it("measures and cuts text by the columns it takes", () => {
    expect(textWidth("日本e\u0301")).to.equal(5);
    expect(truncate("short", 5)).to.equal("short");
    expect(truncate("longer", 5)).to.equal("long…");
    expect(truncate("日本語", 4)).to.equal("日…");
    expect(truncate("x", 0)).to.equal("");
  });
});
