import { expect } from "chai";
import fc from "fast-check";
import { beginningOf } from "../../../src/log/beginning.ts";

describe("beginningOf", () => {
  it("leaves what is short as it is", () => {
    expect(beginningOf("Grüße", 7)).to.equal("Grüße");
  });

  it("says how many bytes it left out, and cuts no character", () => {
    expect(beginningOf("x".repeat(5_000), 10)).to.equal("xxxxxxxxxx… (4990 more bytes)");
    expect(beginningOf("ää", 3)).to.equal("ä… (2 more bytes)");
    expect(beginningOf("a🌳b", 4)).to.equal("a… (5 more bytes)");
  });

  it("tells the truth about every text and limit", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.nat(40), (text, max) => {
        const shown = beginningOf(text, max);
        const match = /^([\s\S]*)… \((\d+) more bytes\)$/.exec(shown);
        if (!match) {
          expect(shown).to.equal(text);
          return;
        }
        const [, kept, leftOut] = match;
        expect(text.startsWith(kept!)).to.equal(true);
        expect(Buffer.byteLength(kept!)).to.be.at.most(max);
        expect(Buffer.byteLength(kept!) + Number(leftOut)).to.equal(Buffer.byteLength(text));
      }),
    );
  });

  it("does not keep the whole alive for its beginning", () => {
    const kept: string[] = [];
    for (let count = 0; count < 200; count++)
      kept.push(beginningOf(Buffer.alloc(1024 * 1024, "x").toString("latin1"), 100));
    const { gc } = globalThis as { gc?: () => void };
    gc?.();
    expect(kept).to.have.length(200);
    if (gc) expect(process.memoryUsage().heapUsed).to.be.lessThan(200 * 1024 * 1024);
  });
});
