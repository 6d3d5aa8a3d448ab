import { expect } from "chai";
import fc from "fast-check";
import {
  decodePairs,
  encodeEnd,
  encodePairs,
  encodeRecord,
  encodeStream,
  RecordReader,
  RecordType,
} from "../../../../src/http/fastcgi/records.ts";

describe("FastCGI records", () => {
  const read = (...chunks: Buffer[]) => {
    const reader = new RecordReader();
    return chunks.flatMap((chunk) =>
      [...reader.read(chunk)].map(({ type, requestId, content }) => ({
        type,
        requestId,
        content: content.toString("latin1"),
      })),
    );
  };

  it("have the layout of the specification", () => {
    expect(encodeRecord(RecordType.stdout, 0x0102, Buffer.from("abc")).toString("hex")).to.equal(
      "0106010200030500".concat(Buffer.from("abc").toString("hex"), "0000000000"),
    );
    expect(encodeRecord(RecordType.params, 1).toString("hex")).to.equal("0104000100000000");
    expect(encodeEnd(1, 2, 3).toString("hex")).to.equal("0103000100080000".concat("0000000302000000"));
  });

  it("are read however they are cut", () => {
    const records = [
      { type: 4, requestId: 1, content: "params" },
      { type: 4, requestId: 1, content: "" },
      { type: 5, requestId: 65_535, content: "x".repeat(300) },
    ];
    const bytes = Buffer.concat(
      records.map(({ type, requestId, content }) => encodeRecord(type, requestId, Buffer.from(content))),
    );
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 6 }), (cuts) => {
        const places = [0, ...cuts.sort((one, other) => one - other), bytes.length];
        const chunks = places.slice(1).map((end, at) => bytes.subarray(places[at], end));
        expect(read(...chunks)).to.deep.equal(records);
      }),
    );
    expect(read(...[...bytes].map((byte) => Buffer.of(byte)))).to.deep.equal(records);
  });

  it("are read without their padding, whatever is in it", () => {
    const bytes = Buffer.concat([Buffer.from("0105000100020300", "hex"), Buffer.from("abXYZ")]);
    expect(read(bytes)).to.deep.equal([{ type: 5, requestId: 1, content: "ab" }]);
    const onlyPadding = Buffer.concat([Buffer.from("010500010000ff00", "hex"), Buffer.alloc(255)]);
    expect(read(onlyPadding, bytes)).to.have.length(2);
  });

  it("of another version are none", () => {
    expect(() => read(Buffer.from("GET / HTTP/1.1\r\n"))).to.throw("the version of the record is 71, not 1");
  });

  it("carry streams of any length, and none for nothing but its end", () => {
    for (const length of [0, 1, 65_528, 65_529, 200_000]) {
      const content = Buffer.alloc(length, "x");
      const records = read(encodeStream(RecordType.stdout, 1, content));
      expect(records.map((one) => one.content).join("")).to.have.length(length);
      expect(records.length).to.equal(Math.max(1, Math.ceil(length / 65_528)));
    }
  });
});

describe("FastCGI pairs", () => {
  it("have lengths of one byte or of four", () => {
    expect(encodePairs({ a: "b" }).toString("hex")).to.equal("01016162");
    const long = encodePairs({ a: "b".repeat(128) });
    expect(long.subarray(0, 5).toString("hex")).to.equal("0180000080");
    expect(decodePairs(long).get("a")).to.have.length(128);
  });

  it("come back as they were", () => {
    const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
    fc.assert(
      fc.property(fc.array(fc.tuple(latin1, latin1)), (pairs) => {
        const map = new Map(pairs);
        const bytes = Buffer.concat([...map].map(([name, value]) => encodePairs({ [name]: value })));
        expect([...decodePairs(bytes)]).to.deep.equal([...map]);
      }),
    );
  });

  it("that end in their middle are none", () => {
    const whole = encodePairs({ name: "value".repeat(100) });
    for (let length = 1; length < whole.length; length++)
      expect(() => decodePairs(whole.subarray(0, length))).to.throw("longer than the record says");
    expect(() => decodePairs(Buffer.from("ffffffff01", "hex"))).to.throw("longer than the record says");
  });
});
