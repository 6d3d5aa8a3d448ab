import { expect } from "chai";
import fc from "fast-check";
import { type Waiting, WaitQueue } from "../../../src/pool/wait-queue.ts";

describe("WaitQueue", () => {
  const item = (name: string) => ({ name, queueTicket: 0 });
  const [one, two, three] = [item("one"), item("two"), item("three")] as const;

  it("hands out in order of arrival", () => {
    const queue = new WaitQueue<Waiting & { name: string }>(0);
    for (const each of [one, two, three]) queue.push(each, 10);
    expect([queue.shift(), queue.shift(), queue.shift(), queue.shift()]).to.deep.equal([one, two, three, undefined]);
  });

  it("is full at its length, and never without one", () => {
    const bounded = new WaitQueue<Waiting>(2);
    bounded.push(one, 1);
    expect(bounded.full).to.equal(false);
    bounded.push(two, 1);
    expect(bounded.full).to.equal(true);
    bounded.shift();
    expect(bounded.full).to.equal(false);
    const endless = new WaitQueue<Waiting>(0);
    for (let count = 0; count < 1_000; count++) endless.push({ queueTicket: 0 }, 1);
    expect([endless.full, endless.length]).to.deep.equal([false, 1_000]);
  });

  it("lets one leave from the middle", () => {
    const queue = new WaitQueue<Waiting>(0);
    for (const each of [one, two, three]) queue.push(each, 1);
    expect([queue.remove(two), queue.remove(two)]).to.deep.equal([true, false]);
    expect(queue.takeAll()).to.deep.equal([one, three]);
    expect(queue.length).to.equal(0);
  });

  it("takes many, and as many again when most have left", () => {
    const queue = new WaitQueue<Waiting>(0);
    const items = Array.from({ length: 5_000 }, () => ({ queueTicket: 0 }));
    for (const each of items) queue.push(each, 1);
    for (const [at, each] of items.entries()) if (at % 7 !== 0) queue.remove(each);
    for (const each of items) if (queue.remove(each)) queue.push(each, 2);
    expect(queue.takeAll()).to.deep.equal(items.filter((_, at) => at % 7 === 0));
    expect([queue.first, queue.shift(), queue.nextDeadlineMs]).to.deep.equal([undefined, undefined, undefined]);
  });

  it("gives out those whose time has come, and says when the next one's does", () => {
    const queue = new WaitQueue<Waiting>(0);
    expect(queue.nextDeadlineMs).to.equal(undefined);
    queue.push(one, 10);
    queue.push(two, 20);
    queue.push(three, 30);
    expect(queue.takeExpired(9)).to.deep.equal([]);
    expect(queue.takeExpired(20)).to.deep.equal([one, two]);
    expect([queue.nextDeadlineMs, queue.length]).to.deep.equal([30, 1]);
  });

  it("loses and doubles nothing, whatever is done", () => {
    const operation = fc.oneof(
      fc.constant({ kind: "push" as const }),
      fc.constant({ kind: "shift" as const }),
      fc.record({ kind: fc.constant("remove" as const), at: fc.nat(20) }),
      fc.record({ kind: fc.constant("expire" as const), byMs: fc.nat(5) }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 100 }), (operations) => {
        const queue = new WaitQueue<Waiting & { at: number }>(0);
        const model: { item: Waiting & { at: number }; deadlineMs: number }[] = [];
        let nowMs = 0;
        for (const [at, each] of operations.entries()) {
          if (each.kind === "push") {
            const pushed = { at, queueTicket: 0 };
            queue.push(pushed, nowMs + 10);
            model.push({ item: pushed, deadlineMs: nowMs + 10 });
          } else if (each.kind === "shift") expect(queue.shift()).to.equal(model.shift()?.item);
          else if (each.kind === "remove") {
            const [removed] = model.splice(each.at, 1);
            if (removed) expect(queue.remove(removed.item)).to.equal(true);
          } else {
            nowMs += each.byMs;
            const expired = model.filter(({ deadlineMs }) => deadlineMs <= nowMs);
            model.splice(0, expired.length);
            expect(queue.takeExpired(nowMs)).to.deep.equal(expired.map(({ item: gone }) => gone));
          }
          expect(queue.length).to.equal(model.length);
          expect(queue.nextDeadlineMs).to.equal(model[0]?.deadlineMs);
        }
      }),
    );
  });
});
