import { toBinary } from "@bufbuild/protobuf";
import { expect } from "chai";
import { DispatchStreamResponseSchema } from "../../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { ErrorReason } from "../../../gen/roadrunner/errors/v1/error_detail_pb.ts";
import { RrError } from "../../../src/errors.ts";
import { replyOf, SessionUnderTest, turn } from "../../support/dispatch-fakes.ts";

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;
const PART = Buffer.alloc(60 * KIBIBYTE, "0123456789");

/** Lets a call say as much as it is allowed to, up to `bytesMax`. */
function pump(call: { reply(body: Buffer): boolean }, bytesMax: number): number {
  let bytes = 0;
  while (bytes < bytesMax) {
    bytes += PART.length;
    if (!call.reply(PART)) break;
  }
  return bytes;
}

describe("DispatchSession", () => {
  it("cuts what a turn brings into messages that the limit allows", async () => {
    for (const messageBytes of [64 * KIBIBYTE, MEBIBYTE, 64 * MEBIBYTE]) {
      const under = new SessionUnderTest({ messageBytes });
      const body = Buffer.alloc(240 * KIBIBYTE, "x");
      for (let id = 1; id <= 15; id++) (await under.open(id))!.reply(body, { more: false });
      const events = await under.readAll();
      for (let id = 1; id <= 15; id++) expect(replyOf(events, id)).to.deep.equal({ body, ended: true, failure: "" });
      for (const message of under.messages)
        expect(toBinary(DispatchStreamResponseSchema, message).length).to.be.at.most(
          Math.min(messageBytes, 300 * KIBIBYTE),
        );
    }
  });

  it("fails a call alone whose head does not fit in a message, with the limit, and cuts the text of an error", async () => {
    const under = new SessionUnderTest({ messageBytes: 64 * KIBIBYTE });
    const [large, wordy, fine] = [(await under.open(1))!, (await under.open(2))!, (await under.open(3))!];
    large.reply("", { context: "h".repeat(70_000), more: false });
    wordy.fail(new RrError("WORKER_ERROR", "e".repeat(MEBIBYTE)));
    fine.reply("fine", { more: false });
    const events = await under.readAll();
    expect(replyOf(events, 1).failure).to.contain("control.max_message_size");
    expect(replyOf(events, 2).failure).to.have.length.below(20_000).and.contain(`${MEBIBYTE} characters in all`);
    expect(replyOf(events, 3).ended).to.equal(true);
    for (const message of under.messages)
      expect(toBinary(DispatchStreamResponseSchema, message).length).to.be.at.most(64 * KIBIBYTE);
  });

  it("gives a call that names no window the usual one, and an unlimited one what the reader takes", async () => {
    const under = new SessionUnderTest();
    expect(pump((await under.open(1))!, 100 * MEBIBYTE)).to.be.within(256 * KIBIBYTE, 330 * KIBIBYTE);
    const unlimited = (await under.open(2, { unlimitedWindow: true }))!;
    expect(pump(unlimited, 100 * MEBIBYTE), "nobody read").to.be.below(5 * MEBIBYTE);
    expect(unlimited.mayGoOn).to.equal(false);
    await under.readAll();
    expect(unlimited.mayGoOn).to.equal(true);
  });

  it("counts many tiny pieces by their number, too", async () => {
    const under = new SessionUnderTest();
    const call = (await under.open(1, { unlimitedWindow: true }))!;
    let pieces = 0;
    while (pieces < 100_000 && call.reply("x")) pieces++;
    expect(pieces).to.be.below(10_000);
  });

  it("holds a bounded amount for a reader that has stopped, of however many calls, and all of it arrives later", async () => {
    const under = new SessionUnderTest();
    const said = new Map<number, number>();
    for (let id = 1; id <= 200; id++) {
      const call = (await under.open(id))!;
      let bytes = 0;
      for (let part = 0; part < 4 && call.mayGoOn; part++) {
        call.reply(PART);
        bytes += PART.length;
      }
      said.set(id, bytes);
    }
    const inAll = [...said.values()].reduce((sum, bytes) => sum + bytes, 0);
    // What each had under way when it was told to wait comes on top.
    expect(inAll).to.be.below(4 * MEBIBYTE + 200 * (PART.length + 1));
    const events = await under.readAll();
    for (const [id, bytes] of said) expect(replyOf(events, id).body.length, `call ${id}`).to.equal(bytes);
    expect(under.calls.every(({ mayGoOn }) => mayGoOn)).to.equal(true);
  });

  it("sends no call far ahead while more than the window of the stream is out, and every call a little", async () => {
    const under = new SessionUnderTest();
    await under.say({ callId: 0, command: { case: "streamWindow", value: { bytes: MEBIBYTE } } as never });
    const window = { windowBytes: 256 * KIBIBYTE };
    for (let id = 1; id <= 5; id++) pump((await under.open(id, window))!, MEBIBYTE);
    const first = await under.readAll();
    // The window is used up by readers that hold what they got: others get on, in small pieces.
    const other = (await under.open(9, window))!;
    const body = Buffer.alloc(200 * KIBIBYTE, "y");
    other.reply(body, { more: false });
    const events = await under.readAll();
    expect(replyOf(events, 9).body.length).to.equal(16 * KIBIBYTE);
    for (let round = 0; round < 12; round++) {
      await under.say({ callId: 9, command: { case: "grant", value: { bytes: 16 * KIBIBYTE } } as never });
      events.push(...(await under.readAll()));
    }
    expect(replyOf(events, 9)).to.deep.equal({ body, ended: true, failure: "" });
    // What is given back opens it again, for those that waited.
    expect(under.calls[4]!.mayGoOn).to.equal(false);
    await under.say({ callId: 0, command: { case: "streamWindow", value: { bytes: MEBIBYTE } } as never });
    await under.say({ callId: 5, command: { case: "grant", value: { bytes: 256 * KIBIBYTE } } as never });
    await under.readAll();
    expect(under.calls[4]!.mayGoOn).to.equal(true);
    expect(replyOf(first, 1).body.length).to.be.above(200 * KIBIBYTE);
  });

  it("refuses what the contract forbids, call by call, and more calls than a stream may have", async () => {
    const under = new SessionUnderTest();
    await under.open(1, { pool: "p".repeat(129) });
    await under.open(2, { codec: 99 });
    await under.open(3);
    await under.open(3);
    under.refusal = new RrError("POOL_PAUSED", "it is paused");
    await under.open(4, { moreBody: true });
    const events = await under.readAll();
    const reasons = events.map(({ callId, event }) => [callId, event.case === "error" && event.value.reason]);
    expect(reasons).to.deep.equal([
      [1, ErrorReason.INVALID_REQUEST],
      [2, ErrorReason.INVALID_REQUEST],
      [3, ErrorReason.INVALID_REQUEST],
      [4, ErrorReason.POOL_PAUSED],
    ]);
    expect(under.calls).to.have.length(1);
  });

  it("ends the call of a command that fails by a mistake of its own, and says so", async () => {
    const under = new SessionUnderTest();
    const fine = (await under.open(1))!;
    under.bug = new TypeError("of no concern to others");
    await under.open(2);
    fine.reply("fine", { more: false });
    const events = await under.readAll();
    expect(replyOf(events, 2).failure).to.contain("of no concern");
    expect(replyOf(events, 1).ended).to.equal(true);
    expect(under.lines.lines.map(({ message }) => message).join()).to.contain("of no concern to others");
  });

  it("stops to listen to a caller who does not read, and goes on when it does", async () => {
    const under = new SessionUnderTest();
    under.refusal = new RrError("POOL_PAUSED", "p".repeat(60_000));
    let opened = 0;
    const before = () => under.session.hasRoom;
    expect(before()).to.equal(true);
    for (; opened < 200; opened++) await under.open(opened + 1, { moreBody: true });
    await turn();
    const first = await under.readAll();
    expect(first).to.have.length(200);
  });

  it("cancels what is open when the caller leaves, and ends when all is said", async () => {
    const under = new SessionUnderTest();
    const call = (await under.open(1))!;
    under.session.close();
    expect(call.cancelled).to.equal(true);
    const other = new SessionUnderTest();
    const last = (await other.open(1))!;
    await other.hangUp();
    last.reply("done", { more: false });
    expect(replyOf(await other.readAll(), 1).ended).to.equal(true);
    await other.consumed;
  });
});
