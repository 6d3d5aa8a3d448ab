import { crc32 } from "node:zlib";
import { expect } from "chai";
import fc from "fast-check";
import { encodeFrame, FLAG, HEADER_BYTES, STREAM } from "../../../src/goridge/frame.ts";
import { FrameReader, HEAD_BYTES_MAX, STRAY_BYTES_MAX, WHOLE_FRAME_BYTES } from "../../../src/goridge/frame-reader.ts";
import { bytesOf, type DecodedFrame, vector, vectorsNamed } from "../../support/vectors.ts";

type Seen =
  | { frame: { flags: number; streamBits: number; options: number[]; payload: string } }
  | { stray: string }
  | { violation: number; problem: string };

/** What a reader makes of chunks; frames that came in pieces are joined. */
function read(chunks: Iterable<Uint8Array>, limitBytes = 1 << 24): Seen[] {
  const seen: Seen[] = [];
  const reader = new FrameReader(
    {
      frame: ({ flags, streamBits }, options, payload) =>
        seen.push({ frame: { flags, streamBits, options: [...options], payload: payload.toString("latin1") } }),
      frameContinues: (data) => {
        const last = seen.at(-1);
        if (!last || !("frame" in last)) throw new Error("a frame goes on that did not begin");
        last.frame.payload += data.toString("latin1");
      },
      stray: (bytes) => seen.push({ stray: bytes.toString("latin1") }),
      violation: (bytes, problem) => seen.push({ violation: bytes.length, problem }),
    },
    limitBytes,
  );
  for (const chunk of chunks) reader.push(Buffer.from(chunk));
  reader.end();
  return seen;
}

function* cut(bytes: Buffer, at: readonly number[]): Generator<Buffer> {
  let from = 0;
  for (const end of [...at.map((one) => one % (bytes.length + 1)).sort((one, other) => one - other), bytes.length]) {
    yield bytes.subarray(from, end);
    from = end;
  }
}

const singly = (bytes: Buffer) => Array.from(bytes, (byte) => Buffer.of(byte));
const cuts = fc.array(fc.nat(1 << 20), { maxLength: 12 });

/** Frames that a worker sends, and those of the frame format alone. */
const wellFormed = vectorsNamed(/^(frame|exec|control|stream|boot)\./).filter(
  ({ name }) => !/thirteen-options|flags-all|raw-stdout/.test(name),
);

function expectedOf(decoded: DecodedFrame): { options: number[]; payloadBytes: number } {
  return { options: [...decoded.options], payloadBytes: decoded.payload_length };
}

describe("FrameReader", () => {
  describe("vectors, whole, byte by byte, and cut at random", () => {
    for (const one of wellFormed)
      it(one.name, () => {
        const bytes = bytesOf(one);
        const whole = read([bytes]);
        expect(whole).to.have.length(1);
        const [seen] = whole;
        if (!seen || !("frame" in seen)) throw new Error(`expected a frame, got ${JSON.stringify(seen)}`);
        const { options, payloadBytes } = expectedOf(one.decoded as DecodedFrame);
        expect(seen.frame.options).to.deep.equal(options);
        expect(seen.frame.payload).to.have.length(payloadBytes);
        expect(read(singly(bytes))).to.deep.equal(whole);
        fc.assert(
          fc.property(cuts, (at) => {
            expect(read(cut(bytes, at))).to.deep.equal(whole);
          }),
          { numRuns: 20 },
        );
      });
  });

  it("reads all vectors after each other, cut anywhere", () => {
    const all = Buffer.concat(wellFormed.map(bytesOf));
    const expected = wellFormed.flatMap((one) => read([bytesOf(one)]));
    expect(read([all])).to.deep.equal(expected);
    expect(read(singly(all))).to.deep.equal(expected);
    fc.assert(
      fc.property(cuts, (at) => {
        expect(read(cut(all, at))).to.deep.equal(expected);
      }),
      { numRuns: 50 },
    );
  });

  it("reads any frames of any size, cut anywhere", () => {
    const frame = fc.record({
      flags: fc.constantFrom(0, FLAG.JSON, FLAG.PROTO, FLAG.RAW),
      streamBits: fc.constantFrom(0, STREAM.STREAM, STREAM.STREAM | STREAM.PING),
      options: fc.array(fc.nat(100), { maxLength: 3 }),
      payload: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), cuts, (frames, at) => {
        const bytes = Buffer.concat(
          frames.map(({ flags, streamBits, options, payload }) => encodeFrame(flags, streamBits, options, payload)),
        );
        const expected = frames.map(({ payload, ...rest }) => ({
          frame: { ...rest, payload: Buffer.from(payload).toString("latin1") },
        }));
        expect(read(cut(bytes, at))).to.deep.equal(expected);
      }),
    );
  });

  describe("large frames", () => {
    const context = Buffer.alloc(1000, "c");
    const body = Buffer.alloc(3 * WHOLE_FRAME_BYTES, "b");
    const large = encodeFrame(0, 0, [context.length], context, body);

    it("are handed on as they come, the context never cut", () => {
      const pieces: number[] = [];
      let missing = Number.NaN;
      const reader = new FrameReader(
        {
          frame: (_header, options, payload, missingBytes) => {
            expect(payload.length).to.be.at.least(options[0]!);
            pieces.push(payload.length);
            missing = missingBytes;
          },
          frameContinues: (data, missingBytes) => {
            pieces.push(data.length);
            expect(missingBytes).to.equal(missing - data.length);
            missing = missingBytes;
          },
          stray: () => expect.fail("no text was sent"),
          violation: () => expect.fail("nothing is wrong"),
        },
        1 << 24,
      );
      for (let at = 0; at < large.length; at += 700) reader.push(large.subarray(at, at + 700));
      expect(pieces.length).to.be.greaterThan(200);
      expect(pieces.reduce((sum, bytes) => sum + bytes)).to.equal(context.length + body.length);
      expect(missing).to.equal(0);
    });

    it("are the same whole and in pieces", () => {
      const two = Buffer.concat([large, large]);
      const whole = read([two]);
      expect(whole).to.have.length(2);
      fc.assert(
        fc.property(cuts, (at) => {
          expect(read(cut(two, at))).to.deep.equal(whole);
        }),
        { numRuns: 20 },
      );
    });
  });

  describe("text between frames", () => {
    const [one, two] = [encodeFrame(0, 0, [0], Buffer.from("one")), encodeFrame(0, 0, [0], Buffer.from("two"))];

    it("is passed over and reported in one piece, wherever the bytes were cut", () => {
      const text = "PHP Warning: something is odd in /app/index.php on line 7\n";
      const bytes = Buffer.concat([Buffer.from(text), one, Buffer.from(text), two, Buffer.from("the end\n")]);
      const whole = read([bytes]);
      expect(whole.map((seen) => ("stray" in seen ? seen.stray : "frame"))).to.deep.equal([
        text,
        "frame",
        text,
        "frame",
        "the end\n",
      ]);
      expect(read(singly(bytes))).to.deep.equal(whole);
      fc.assert(
        fc.property(cuts, (at) => {
          expect(read(cut(bytes, at))).to.deep.equal(whole);
        }),
      );
    });

    it("never hides a frame, whatever it is", () => {
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 5 }), cuts, (texts, at) => {
          // Bytes that begin like a header could only be told from one by what follows; text does not.
          const printable = texts.map((text) => text.map((byte) => 32 + (byte % 95)));
          const bytes = Buffer.concat(printable.flatMap((text) => [Buffer.from(text), one]));
          const frames = read(cut(bytes, at)).filter((seen) => "frame" in seen);
          expect(frames).to.have.length(texts.length);
        }),
      );
    });

    it("is found in what PHP wrote to standard output", () => {
      expect(read([bytesOf(vector("exec.raw-stdout.reply"))])).to.deep.equal([
        { stray: "garbage straight to STDOUT\n" },
        { frame: { flags: 0, streamBits: 0, options: [0], payload: "after-raw" } },
      ]);
    });

    it("is reported when the stream ends", () => {
      expect(read([bytesOf(vector("malformed.to-server.garbage"))])).to.deep.equal([{ stray: "Hello before\n" }]);
      expect(read([Buffer.from("bye")])).to.deep.equal([{ stray: "bye" }]);
    });

    it("may be long, but not endless", () => {
      const long = Buffer.alloc(STRAY_BYTES_MAX - HEADER_BYTES, "x");
      expect(read([long, one]).map((seen) => Object.keys(seen)[0])).to.deep.equal(["stray", "frame"]);
      const endless = Buffer.alloc(STRAY_BYTES_MAX + 2 * HEADER_BYTES, "x");
      const [violation, ...others] = read([endless, one]);
      expect(violation).to.have.property("violation").that.is.greaterThan(STRAY_BYTES_MAX);
      expect(others, "nothing is read after that").to.deep.equal([]);
    });

    it("starts anew after every frame", () => {
      const text = Buffer.alloc(STRAY_BYTES_MAX / 2 + 1000, "x");
      expect(read([text, one, text, two]).filter((seen) => "frame" in seen)).to.have.length(2);
    });
  });

  describe("quantities", () => {
    /** Bytes that are copied while a reader takes chunks. */
    function copiedBytes(run: () => void): number {
      const { concat } = Buffer;
      let bytes = 0;
      Buffer.concat = (pieces, length) => {
        const joined = concat(pieces, length);
        bytes += joined.length;
        return joined;
      };
      try {
        run();
      } finally {
        Buffer.concat = concat;
      }
      return bytes;
    }

    for (const [what, frame] of [
      ["a large head", encodeFrame(0, 0, [1 << 20], Buffer.alloc(1 << 20, "h"), Buffer.from("body"))],
      ["a small frame", encodeFrame(0, 0, [0], Buffer.alloc(WHOLE_FRAME_BYTES, "b"))],
    ] as const)
      it(`joins ${what} once, however it was cut`, () => {
        for (const pieceBytes of [7, 1000, 65_536]) {
          const pieces = Array.from({ length: Math.ceil(frame.length / pieceBytes) }, (_, at) =>
            frame.subarray(at * pieceBytes, (at + 1) * pieceBytes),
          );
          let seen: Seen[] = [];
          const copied = copiedBytes(() => {
            seen = read(pieces);
          });
          expect(seen).to.have.length(1);
          expect(copied, `pieces of ${pieceBytes}`).to.be.lessThan(1.2 * frame.length + 1000);
        }
      });

    it("refuses a head beyond the limit before it has come", () => {
      const header = encodeFrame(FLAG.JSON, 0, [HEAD_BYTES_MAX + 1], Buffer.alloc(0)).subarray(0, 12);
      const frame = encodeFrame(FLAG.JSON, 0, [HEAD_BYTES_MAX + 1], Buffer.alloc(HEAD_BYTES_MAX + 1));
      const [seen] = read([frame.subarray(0, header.length + 4 + 100)]);
      expect(seen).to.have.property(
        "problem",
        `a head of ${HEAD_BYTES_MAX + 1} bytes, where ${HEAD_BYTES_MAX} are allowed`,
      );
    });

    it("takes a head up to the limit", () => {
      const head = Buffer.alloc(HEAD_BYTES_MAX, "h");
      expect(read([encodeFrame(0, 0, [head.length], head)])[0]).to.have.property("frame");
    });

    it("names the setting that a frame is too large for", () => {
      const frame = encodeFrame(0, 0, [0], Buffer.alloc(2000));
      const [stray, violation] = read([Buffer.from("a notice\n"), frame], 1999);
      expect(stray).to.deep.equal({ stray: "a notice\n" });
      expect(violation).to.have.property("problem", "a frame of 2000 bytes, where pool.max_frame_size allows 1999");
    });

    it("names flags that nobody knows", () => {
      const header = Buffer.alloc(12);
      header[0] = 0x13;
      header[1] = 0x02;
      header.writeUInt32LE(crc32(header.subarray(0, 6)), 6);
      expect(read([header])[0])
        .to.have.property("problem")
        .that.contains("flags 0x2");
    });
  });

  it("takes any bytes, cut anywhere, and ends in the same", () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc
        .record({ flags: fc.nat(255), bits: fc.nat(15), options: fc.array(fc.nat(200), { maxLength: 3 }) })
        .map(({ flags, bits, options }) => encodeFrame(flags, bits, options, Buffer.alloc(20, "p"))),
      fc.tuple(fc.nat(30), fc.nat(255)).map(([at, value]) => {
        const frame = encodeFrame(0, 0, [3], Buffer.from("ctxbody"));
        frame[at % frame.length] = value;
        return frame;
      }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), cuts, (pieces, at) => {
        const bytes = Buffer.concat(pieces);
        const joined = (seen: Seen[]) => seen.map((one) => ("violation" in one ? { problem: one.problem } : one));
        expect(joined(read(cut(bytes, at), 5000))).to.deep.equal(joined(read([bytes], 5000)));
      }),
      { numRuns: 2_000 },
    );
  });

  describe("malformed vectors", () => {
    it("reads nothing after a wrong checksum: whoever waits for that frame must not wait for ever", () => {
      const seen = read([bytesOf(vector("malformed.to-server.bad-crc")), encodeFrame(0, 0, [0], Buffer.from("next"))]);
      expect(seen).to.have.length(1);
      expect(seen[0]).to.have.property("problem", "a frame whose header has a wrong checksum");
    });

    it("says nothing of a frame that the end cut: the end explains it", () => {
      expect(read([bytesOf(vector("malformed.to-server.short"))])).to.deep.equal([]);
    });

    it("hands frames on whose contents are wrong: what they mean is decided elsewhere", () => {
      for (const name of ["no-option", "two-options", "ctx-too-long"]) {
        const seen = read([bytesOf(vector(`malformed.to-server.${name}`))]);
        expect(seen.map((one) => Object.keys(one)[0])).to.deep.equal(["frame"]);
      }
    });
  });
});
