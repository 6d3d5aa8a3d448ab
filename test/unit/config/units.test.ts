import { expect } from "chai";
import { formatDuration, formatSize, MEGABYTE, parseDuration, parseSize } from "../../../src/config/units.ts";

describe("config units", () => {
  for (const [text, ms] of [
    ["0", 0],
    ["0s", 0],
    ["60s", 60_000],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    [".5s", 500],
    ["500ms", 500],
    ["250us", 0.25],
    ["250µs", 0.25],
    ["1h2m3s4ms", 3_723_004],
    ["+2s", 2000],
    ["-5s", -5000],
    [" 5s ", 5000],
  ] as const)
    it(`reads the duration ${JSON.stringify(text)}`, () => {
      expect(parseDuration(text)).to.equal(ms);
    });

  for (const text of ["", "-", "60", "1x", "s", "1m 30s", "5 s", "1d", "1,5s", "1s!", "ten seconds"])
    it(`refuses the duration ${JSON.stringify(text)}`, () => {
      expect(parseDuration(text)).to.equal(undefined);
    });

  for (const [ms, text] of [
    [0, "0s"],
    [0.25, "250us"],
    [1.5, "1.5ms"],
    [500, "500ms"],
    [60_000, "60s"],
    [90_500, "90.5s"],
    [150_000, "2m30s"],
    [3_600_000, "1h"],
    [3_723_004, "1h2m3.004s"],
    [-5000, "-5s"],
  ] as const)
    it(`writes ${ms} ms as ${text}, and reads it back`, () => {
      expect(formatDuration(ms)).to.equal(text);
      expect(parseDuration(text)).to.equal(ms);
    });

  for (const [text, bytes] of [
    ["0", 0],
    ["128", 128 * MEGABYTE],
    ["100B", 100],
    ["64KB", 65_536],
    ["64k", 65_536],
    ["64Ki", 65_536],
    ["1.5MiB", 1_572_864],
    ["1 GB", 1_073_741_824],
    ["2T", 2_199_023_255_552],
  ] as const)
    it(`reads the size ${JSON.stringify(text)}, where a bare number is megabytes`, () => {
      expect(parseSize(text, MEGABYTE)).to.equal(bytes);
    });

  it("reads a bare number in the unit of its key", () => {
    expect(parseSize("128", 1)).to.equal(128);
  });

  for (const text of ["", "MB", "-1", "1.", "1PB", "12 apples", "1e3"])
    it(`refuses the size ${JSON.stringify(text)}`, () => {
      expect(parseSize(text, 1)).to.equal(undefined);
    });

  for (const bytes of [0, 1, 1023, 65_536, 65_537, 128 * MEGABYTE, 1000 * MEGABYTE, 1024 ** 4])
    it(`writes ${bytes} bytes so that they are read back whatever a bare number means`, () => {
      expect(parseSize(formatSize(bytes), 1)).to.equal(bytes);
      expect(parseSize(formatSize(bytes), MEGABYTE)).to.equal(bytes);
    });
});
