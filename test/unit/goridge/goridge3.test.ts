import { expect } from "chai";
import { encodeFrame, FLAG } from "../../../src/goridge/frame.ts";
import { WHOLE_FRAME_BYTES } from "../../../src/goridge/frame-reader.ts";
import { goridge3 } from "../../../src/goridge/goridge3.ts";
import { isStopRequest, parsePid } from "../../../src/goridge/worker-protocol.ts";
import { bytesOf, type DecodedFrame, vector, vectorsNamed } from "../../support/vectors.ts";
import { type Message, recordingListener } from "./recording-listener.ts";

function messagesOf(...chunks: Buffer[]): Message[] {
  const { listener, messages } = recordingListener();
  const reader = goridge3.createReader(listener, 1 << 24);
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return messages;
}

/** Numbers of roadrunner.dispatch.v1.Codec. */
const CODEC = { "0": 0, RAW: 1, JSON: 2, MSGPACK: 3, GOB: 4, PROTO: 5 } as const;

describe("goridge3", () => {
  describe("what it writes is what PHP accepted", () => {
    for (const one of vectorsNamed(/^(exec|stream)\..*request$/))
      it(one.name, () => {
        const { flags, context, body } = one.decoded as DecodedFrame;
        const buffers = goridge3.encodeRequest({
          context: Buffer.from(context!),
          body: bodyBytes(bytesOf(one), body!),
          codec: CODEC[flags as keyof typeof CODEC],
        });
        expect(Buffer.concat(buffers).toString("hex")).to.equal(one.hex);
      });

    for (const one of vectorsNamed(/^boot\..*pid\.request$/))
      it(one.name, () => {
        const { pid } = JSON.parse((one.decoded as DecodedFrame).payload!);
        expect(goridge3.encodePid(pid).toString("hex")).to.equal(one.hex);
      });

    it("the stop message, STOP and PONG", () => {
      expect(goridge3.encodeStop().toString("hex")).to.equal(vector("control.rr2024.stop").hex);
      expect(goridge3.streamStop!.toString("hex")).to.equal(vector("stream.rr2024.stop.stop").hex);
      expect(goridge3.pong!.toString("hex")).to.equal(vector("stream.rr2024.ping.pong").hex);
    });

    it("large bodies without a copy, header and context in the first buffer", () => {
      const body = Buffer.alloc(100_000, "b");
      const [head, rest] = goridge3.encodeRequest({ context: Buffer.from("context"), body, codec: 2 });
      expect(rest!.buffer).to.equal(body.buffer);
      expect(messagesOf(head!, rest!)).to.deep.equal([
        { reply: { context: "context", body: body.toString(), codec: 2, more: false, ping: false } },
      ]);
    });
  });

  describe("what PHP's libraries send is understood", () => {
    for (const one of vectorsNamed(/^boot\..*pid\.reply$/))
      it(one.name, () => {
        const { pid } = JSON.parse((one.decoded as DecodedFrame).payload!);
        expect(messagesOf(bytesOf(one))).to.deep.equal([{ introduced: pid }]);
      });

    for (const one of vectorsNamed(/^(exec|stream)\..*reply\d*$/)) {
      const { flags, byte10, payload_length, options, payload } = one.decoded as DecodedFrame;
      // Text before a frame, which is the reader's business.
      if (flags === undefined) continue;
      it(one.name, () => {
        const [message, ...others] = messagesOf(bytesOf(one));
        expect(others).to.deep.equal([]);
        if (flags === "ERROR") return expect(message).to.deep.equal({ error: payload });
        const bytes = bytesOf(one).subarray(-payload_length || bytesOf(one).length);
        const contextBytes = options[0]!;
        expect(message).to.deep.equal({
          reply: {
            context: bytes.toString("latin1", 0, contextBytes),
            body: bytes.toString("latin1", contextBytes),
            codec: CODEC[flags as keyof typeof CODEC],
            more: byte10.includes("STREAM"),
            ping: byte10.includes("PING"),
          },
        });
      });
    }
  });

  describe("what breaks the protocol is named", () => {
    for (const [name, problem] of [
      ["no-option", "one option"],
      ["two-options", "one option"],
      ["ctx-too-long", "the context is 9 bytes long by its option, but the frame has only 1"],
    ] as const)
      it(name, () => {
        const [message] = messagesOf(bytesOf(vector(`malformed.to-server.${name}`)));
        expect(message).to.have.property("violation").that.contains(problem);
      });

    for (const text of ["", "true", "not json", '{"pid":0}', '{"pid":"1"}', '{"stop":true}'])
      it(`the control message ${text || "without text"}`, () => {
        const [message] = messagesOf(encodeFrame(FLAG.CONTROL, 0, [], Buffer.from(text)));
        expect(message).to.have.property("violation").that.contains('{"pid":N}');
      });
  });

  it("joins an error text that is longer than one read", () => {
    const text = "trace ".repeat(WHOLE_FRAME_BYTES / 3);
    const frame = encodeFrame(FLAG.ERROR, 0, [], Buffer.from(text));
    const chunks = Array.from({ length: 30 }, (_, at) =>
      frame.subarray((at * frame.length) / 30, ((at + 1) * frame.length) / 30),
    );
    expect(Buffer.concat(chunks).equals(frame)).to.equal(true);
    expect(messagesOf(...chunks)).to.deep.equal([{ error: text }]);
  });

  it("keeps the beginning of an error text without an end", () => {
    const frame = encodeFrame(FLAG.ERROR, 0, [], Buffer.alloc(3_000_000, "e"));
    const chunks = Array.from({ length: 46 }, (_, at) => frame.subarray(at * 65_536, (at + 1) * 65_536));
    const [message] = messagesOf(...chunks);
    if (!message || !("error" in message)) throw new Error("expected an error");
    expect(message.error).to.have.length.lessThan(300_000);
    expect(message.error).to.contain("3000000 bytes in all");
  });

  it("prefers protobuf, then JSON, when several codec bits are set", () => {
    const codecOf = (flags: number) => {
      const [message] = messagesOf(encodeFrame(flags, 0, [0]));
      return message && "reply" in message ? message.reply.codec : undefined;
    };
    expect(codecOf(FLAG.PROTO | FLAG.JSON | FLAG.RAW)).to.equal(5);
    expect(codecOf(FLAG.JSON | FLAG.RAW | FLAG.GOB)).to.equal(2);
    expect(codecOf(FLAG.MSGPACK | FLAG.GOB)).to.equal(3);
  });
});

describe("isStopRequest", () => {
  it("is exact: an application may answer with something that only looks like it", () => {
    const { context, body } = vector("exec.worker-stop.reply").decoded as DecodedFrame;
    expect(isStopRequest(Buffer.from(context!), body!.length)).to.equal(true);
    expect(isStopRequest(Buffer.from('{"stop":true}'), 1)).to.equal(false);
    expect(isStopRequest(Buffer.from('{"stop": true}'), 0)).to.equal(false);
    expect(isStopRequest(Buffer.from('{"stop":trUe}'), 0)).to.equal(false);
    expect(isStopRequest(Buffer.alloc(0), 0)).to.equal(false);
  });
});

describe("parsePid", () => {
  it("takes positive whole numbers only", () => {
    expect(parsePid('{"pid":26920}')).to.equal(26920);
    for (const text of ['{"pid":-1}', '{"pid":1.5}', '{"pid":null}', "{}", "[]", "7", "{"])
      expect(parsePid(text), text).to.equal(undefined);
  });
});

/** The body of a vector as bytes: its text form cannot hold every byte. */
function bodyBytes(frame: Buffer, text: string): Buffer {
  const body = Buffer.from(text);
  const contextBytes = frame.readUInt32LE(12);
  const exact = frame.subarray(16 + contextBytes);
  return exact.length === body.length ? body : exact;
}
