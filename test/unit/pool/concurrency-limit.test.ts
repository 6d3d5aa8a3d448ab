import { expect } from "chai";
import { ConcurrencyLimit } from "../../../src/pool/concurrency-limit.ts";

describe("ConcurrencyLimit", () => {
  it("runs no more at a time than allowed, in order, and survives failures", async () => {
    const limit = new ConcurrencyLimit(2);
    const started: number[] = [];
    const ends: (() => void)[] = [];
    const tasks = Array.from({ length: 5 }, (_, at) =>
      limit.run(async () => {
        started.push(at);
        await new Promise<void>((resolve) => {
          ends[at] = resolve;
        });
        if (at === 1) throw new Error("the second one fails");
        return at;
      }),
    );
    const outcomes = Promise.allSettled(tasks);
    for (let at = 0; at < 5; at++) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(started, `before task ${at} ends`).to.deep.equal([0, 1, 2, 3, 4].slice(0, at + 2));
      ends[at]!();
    }
    expect((await outcomes).map(({ status }) => status)).to.deep.equal([
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
      "fulfilled",
    ]);
    expect(await limit.run(async () => "free again")).to.equal("free again");
  });
});
