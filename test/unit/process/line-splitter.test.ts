import { expect } from "chai";
import fc from "fast-check";
import { LineSplitter } from "../../../src/process/line-splitter.ts";

function split(chunks: Iterable<Uint8Array>): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const chunk of chunks) splitter.push(Buffer.from(chunk));
  splitter.flush();
  return lines;
}

describe("LineSplitter", () => {
  it("gives lines without their ends, and no empty ones", () => {
    expect(split([Buffer.from("one\r\ntwo\n\n\nthree")])).to.deep.equal(["one", "two", "three"]);
  });

  it("does not care where the bytes are cut, characters included", () => {
    const bytes = Buffer.from("häuser\nbäume 🌳\nend\n");
    const whole = split([bytes]);
    expect(whole).to.deep.equal(["häuser", "bäume 🌳", "end"]);
    fc.assert(
      fc.property(fc.nat(bytes.length), fc.nat(bytes.length), (one, other) => {
        const [first, second] = [Math.min(one, other), Math.max(one, other)];
        const chunks = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
        expect(split(chunks)).to.deep.equal(whole);
      }),
    );
  });

  it("keeps the beginning of a line that is too long, and says how much it had", () => {
    const chunks = [...Array.from({ length: 100 }, () => Buffer.alloc(10_000, "x")), Buffer.from("\nnext\n")];
    const [long, next] = split(chunks);
    expect(long).to.equal(`${"x".repeat(16 * 1024)}… (${1_000_000 - 16 * 1024} more characters)`);
    expect(next).to.equal("next");
  });

  it("hands on a half line when it is asked to, and then the rest", () => {
    const lines: string[] = [];
    const splitter = new LineSplitter((line) => lines.push(line));
    splitter.push(Buffer.from("one\nhal"));
    expect(splitter.unended).to.equal(true);
    splitter.flush();
    splitter.push(Buffer.from("f\n"));
    expect([lines, splitter.unended]).to.deep.equal([["one", "hal", "f"], false]);
  });
});
