import { expect } from "chai";
import { BATCH_BYTES, BATCH_ENTRIES, BatchQueue } from "../../../src/grpc/batch-queue.ts";

describe("BatchQueue", () => {
  it("hands out all at once if that is not much", () => {
    const queue = new BatchQueue<number>(1 << 20);
    for (const entry of [1, 2, 3]) queue.push(entry, 100);
    expect(queue.bytes).to.equal(300);
    expect(queue.take()).to.deep.equal([1, 2, 3]);
    expect([queue.length, queue.bytes, queue.take().length]).to.deep.equal([0, 0, 0]);
  });

  it("cuts batches by bytes and by number, keeps the order, loses nothing", () => {
    const queue = new BatchQueue<number>(1 << 30);
    const sizes = Array.from({ length: 5_000 }, (_, at) => (at % 7 === 0 ? 64 * 1024 : 10));
    for (const [at, bytes] of sizes.entries()) queue.push(at, bytes);
    const taken: number[] = [];
    while (queue.length > 0) {
      const batch = queue.take();
      expect(batch.length).to.be.within(1, BATCH_ENTRIES);
      expect(batch.reduce((sum, at) => sum + sizes[at]!, 0)).to.be.at.most(BATCH_BYTES);
      taken.push(...batch);
    }
    expect(taken).to.deep.equal(sizes.map((_, at) => at));
    expect(queue.bytes).to.equal(0);
  });

  it("keeps to the limit of messages, and gives what is larger a message of its own", () => {
    const queue = new BatchQueue<string>(1_000);
    for (const [entry, bytes] of [
      ["a", 600],
      ["b", 600],
      ["large", 5_000],
      ["c", 10],
    ] as const)
      queue.push(entry, bytes);
    expect([queue.take(), queue.take(), queue.take(), queue.take()]).to.deep.equal([["a"], ["b"], ["large"], ["c"]]);
  });
});
