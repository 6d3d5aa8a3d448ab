import { expect } from "chai";
import { allowedAtMs, type FailureRecord, retryDelayMs, withFailure } from "../../../src/acme/retry.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const none: FailureRecord = { directoryUrl: "https://one/dir", domains: ["a"], failedAtMs: [], notBeforeMs: 0 };
const START_MS = 1_000 * HOUR_MS;

describe("retryDelayMs", () => {
  it("doubles from 2 minutes to 6 hours", () => {
    const delays = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10_000].map((failures) => retryDelayMs(failures, 0, 0) / MINUTE_MS);
    expect(delays).to.deep.equal([2, 4, 8, 16, 32, 64, 128, 256, 360, 360]);
  });

  it("is up to a tenth longer by jitter", () => {
    expect(retryDelayMs(1, 0, 1)).to.equal(2.2 * MINUTE_MS);
  });

  it("is what the authority asks for if that is longer, a week at most", () => {
    expect(retryDelayMs(1, 3 * HOUR_MS, 0)).to.equal(3 * HOUR_MS);
    expect(retryDelayMs(1, 1_000, 0)).to.equal(2 * MINUTE_MS);
    expect(retryDelayMs(1, 1e15, 0)).to.equal(7 * 24 * HOUR_MS);
  });
});

describe("allowedAtMs", () => {
  it("allows the first attempts at once, whatever was restarted in between", () => {
    let record = none;
    for (let count = 0; count < 5; count++) {
      expect(allowedAtMs(record, START_MS + count)).to.be.at.most(START_MS + count);
      record = withFailure(record, START_MS + count, 0);
    }
    expect(allowedAtMs(record, START_MS + 5)).to.equal(START_MS + HOUR_MS);
    expect(allowedAtMs(record, START_MS + HOUR_MS)).to.be.at.most(START_MS + HOUR_MS);
  });

  it("never lets more than five fail within an hour", () => {
    let record = none;
    const failedAtMs: number[] = [];
    for (let nowMs = START_MS; nowMs < START_MS + 4 * HOUR_MS; nowMs += MINUTE_MS)
      if (allowedAtMs(record, nowMs) <= nowMs) {
        failedAtMs.push(nowMs);
        record = withFailure(record, nowMs, 0);
      }
    for (const atMs of failedAtMs)
      expect(failedAtMs.filter((other) => other >= atMs && other < atMs + HOUR_MS).length).to.be.at.most(5);
    expect(failedAtMs.length).to.equal(20);
  });

  it("remembers what the authority asked for", () => {
    const record = withFailure(none, START_MS, 3 * HOUR_MS);
    expect(allowedAtMs(record, START_MS + HOUR_MS)).to.equal(START_MS + 3 * HOUR_MS);
    expect(withFailure(record, START_MS + 4 * HOUR_MS, 0).notBeforeMs).to.equal(0);
  });

  it("does not believe a record from the future", () => {
    const future = {
      ...none,
      failedAtMs: Array(5).fill(START_MS + 900 * HOUR_MS),
      notBeforeMs: START_MS + 900 * HOUR_MS,
    };
    expect(allowedAtMs(future, START_MS)).to.be.at.most(START_MS);
  });
});
