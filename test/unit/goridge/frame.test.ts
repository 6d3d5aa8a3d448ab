import { expect } from "chai";
import { encodeFrame, FLAG, HEADER_BYTES, readHeader, STREAM } from "../../../src/goridge/frame.ts";
import { bytesOf, type DecodedFrame, vector, vectorsNamed } from "../../support/vectors.ts";

const LIMIT_BYTES = 1 << 20;

function bitsOf(names: string, table: Readonly<Record<string, number>>): number {
  if (names === "0") return 0;
  return names.split("|").reduce((bits, name) => bits | (table[name] ?? Number.NaN), 0);
}

describe("Frame", () => {
  describe("vectors", () => {
    for (const one of vectorsNamed(/^frame\./)) {
      const { name, decoded } = one;
      const { flags, byte10, payload_length, options } = decoded as DecodedFrame;
      const bytes = bytesOf(one);
      // Written with bits or a byte that nobody gives a meaning: read differently or not at all, see below.
      if (["frame.thirteen-options", "frame.flags-all", "frame.byte11"].includes(name)) continue;

      it(`reads ${name}`, () => {
        expect(readHeader(bytes, 0, LIMIT_BYTES)).to.deep.equal({
          flags: bitsOf(flags, FLAG),
          streamBits: bitsOf(byte10, STREAM),
          payloadBytes: payload_length,
          headerBytes: HEADER_BYTES + 4 * options.length,
        });
      });

      it(`writes ${name}`, () => {
        const payload = bytes.subarray(HEADER_BYTES + 4 * options.length);
        const written = encodeFrame(bitsOf(flags, FLAG), bitsOf(byte10, STREAM), options, payload);
        expect(written.toString("hex")).to.equal(one.hex);
      });
    }

    it("ignores byte 11, as the original does", () => {
      expect(readHeader(bytesOf(vector("frame.byte11")), 0, LIMIT_BYTES)?.payloadBytes).to.be.greaterThan(0);
    });

    it("takes flags that do not exist for text: that makes text between frames easier to tell from a header", () => {
      expect(readHeader(bytesOf(vector("frame.flags-all")), 0, LIMIT_BYTES)).to.equal(undefined);
    });

    it("takes more options than the header can count for text", () => {
      expect(readHeader(bytesOf(vector("frame.thirteen-options")), 0, LIMIT_BYTES)).to.equal(undefined);
    });
  });

  it("refuses a header with any single bit of its first ten bytes changed", () => {
    const frame = encodeFrame(FLAG.JSON, STREAM.STREAM, [3], Buffer.from("payload"));
    for (let bit = 0; bit < 80; bit++) {
      const changed = Buffer.from(frame);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(readHeader(changed, 0, LIMIT_BYTES), `bit ${bit}`).to.equal(undefined);
    }
  });

  it("refuses a payload beyond the limit", () => {
    const frame = encodeFrame(0, 0, [0], Buffer.alloc(11));
    expect(readHeader(frame, 0, 11)).to.not.equal(undefined);
    expect(readHeader(frame, 0, 10)).to.equal(undefined);
  });

  it("refuses to write more options than readers take", () => {
    expect(() =>
      encodeFrame(
        0,
        0,
        Array.from({ length: 11 }, () => 0),
      ),
    ).to.throw(RangeError, "at most 10 options");
  });

  it("joins payloads in order", () => {
    const frame = encodeFrame(0, 0, [3], Buffer.from("ctx"), Buffer.from("body"));
    expect(frame.toString("hex")).to.equal(vector("exec.rr2.ctx-body.request").hex);
  });
});
