import { expect } from "chai";
import fc from "fast-check";
import { goridge1 } from "../../../src/goridge/goridge1.ts";
import { bytesOf, type DecodedPacket, vector } from "../../support/vectors.ts";
import { type Message, recordingListener } from "./recording-listener.ts";

function messagesOf(...chunks: Buffer[]): Message[] {
  const { listener, messages } = recordingListener();
  const reader = goridge1.createReader(listener, 1 << 24);
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return messages;
}

const packets = (name: string) => vector(name).decoded as DecodedPacket[];
const answer = (context: string, body: string): Message => ({
  reply: { context, body, codec: 2, more: false, ping: false },
});

describe("goridge1", () => {
  it("writes what PHP accepted", () => {
    expect(goridge1.encodePid(77).toString("hex")).to.equal(vector("v1.pid.request").hex);
    expect(goridge1.encodeStop().toString("hex")).to.equal(vector("v1.stop").hex);
    for (const name of ["v1.exec.request", "v1.http.request", "v1.error.request", "v1.no-header.request"]) {
      const [context, body] = packets(name);
      const request = { context: Buffer.from(context!.data), body: Buffer.from(body!.data), codec: 2 };
      expect(Buffer.concat(goridge1.encodeRequest(request)).toString("hex"), name).to.equal(vector(name).hex);
    }
  });

  const replies: [string, Message][] = [
    ["v1.pid.reply", { introduced: 26989 }],
    ["v1.exec.reply", answer(packets("v1.exec.reply")[0]!.data, packets("v1.exec.reply")[1]!.data)],
    ["v1.http.reply", answer(packets("v1.http.reply")[0]!.data, packets("v1.http.reply")[1]!.data)],
    ["v1.no-header.reply", answer("", packets("v1.no-header.reply")[1]!.data)],
    ["v1.exec-empty-ctx.reply", answer("", packets("v1.exec-empty-ctx.reply")[1]!.data)],
    ["v1.worker-stop.reply", answer('{"stop":true}', "")],
    ["v1.error.reply", { error: packets("v1.error.reply")[0]!.data }],
  ];
  for (const [name, expected] of replies)
    it(`understands ${name}, cut anywhere`, () => {
      const bytes = bytesOf(vector(name));
      expect(messagesOf(bytes)).to.deep.equal([expected]);
      expect(messagesOf(...Array.from(bytes, (byte) => Buffer.of(byte)))).to.deep.equal([expected]);
      fc.assert(
        fc.property(fc.nat(bytes.length), (at) => {
          expect(messagesOf(bytes.subarray(0, at), bytes.subarray(at))).to.deep.equal([expected]);
        }),
      );
    });

  it("understands all of them after each other", () => {
    const all = Buffer.concat(replies.map(([name]) => bytesOf(vector(name))));
    expect(messagesOf(all)).to.deep.equal(replies.map(([, message]) => message));
  });

  it("takes two sizes that differ for printed text", () => {
    const [message] = messagesOf(bytesOf(vector("v1.malformed.size-mismatch")));
    expect(message).to.have.property("violation").that.contains("printed");
  });

  it("refuses a packet beyond the limit", () => {
    const { listener, messages } = recordingListener();
    goridge1.createReader(listener, 10).push(bytesOf(vector("v1.pid.reply")));
    expect(messages[0]).to.have.property("violation");
  });

  it("refuses a reply that does not start with a control packet", () => {
    const packet = Buffer.concat([Buffer.of(0x04), Buffer.alloc(16)]);
    expect(messagesOf(packet)[0]).to.have.property("violation").that.contains("control packet");
  });

  it("reports the beginning of a text when the stream ends", () => {
    expect(messagesOf(Buffer.from("short"))).to.deep.equal([{ stray: "short" }]);
  });
});
