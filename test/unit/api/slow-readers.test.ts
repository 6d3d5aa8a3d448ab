import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { RrError } from "../../../src/errors.ts";
import { silentLog } from "../../../src/log.ts";
import type { Spill } from "../../../src/spool/spill.ts";
import { Spool } from "../../../src/spool/spool.ts";
import { type FakeCall, replyOf, SessionUnderTest } from "../../support/dispatch-fakes.ts";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const MEBIBYTE = 1024 * 1024;
const WINDOW = { windowBytes: 256 * 1024 };

describe("A reply that its caller takes slowly", () => {
  let base: string;
  let spool: Spool;
  let spill: Spill;
  let clock: ManualClock;
  let under: SessionUnderTest;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), "rr-slow-test-"));
    spool = new Spool({ directory: base, bytesMax: 0 }, silentLog);
    clock = new ManualClock();
    spill = spool.spill(64 * MEBIBYTE, () => {}, clock);
    const spillRules = { spill, clock, replyBytesMax: 32 * MEBIBYTE, streamBytesMax: MEBIBYTE };
    under = new SessionUnderTest({ spillRules });
  });
  afterEach(async () => {
    under.session.close();
    await eventually("nothing waited on the disk", () => spill.bytes === 0);
    await spool.close();
    rmSync(base, { recursive: true });
  });

  /** A body whose bytes tell where they belong. */
  const bodyOf = (bytes: number) => Buffer.from(Uint8Array.from({ length: bytes }, (_, at) => at * 31 + (at >> 10)));

  /** As a worker does: says the next 60 KB whenever it may. Answers how far it came. */
  class Worker {
    saidBytes = 0;
    readonly #call: FakeCall;
    readonly #body: Buffer;
    readonly #streamed: boolean;

    constructor(call: FakeCall, body: Buffer, streamed = false) {
      this.#call = call;
      this.#body = body;
      this.#streamed = streamed;
    }

    get done(): boolean {
      return this.saidBytes === this.#body.length;
    }

    say(): boolean {
      while (!this.done && this.#call.mayGoOn) {
        const part = this.#body.subarray(this.saidBytes, this.saidBytes + 60_000);
        this.saidBytes += part.length;
        const context = this.saidBytes === part.length ? "head" : "";
        this.#call.reply(part, { more: !this.done, context, streamed: this.#streamed });
      }
      return this.done;
    }

    /** Until it has said all, or has to wait for longer than the disk takes. */
    async goOn(): Promise<void> {
      let idle = 0;
      for (let before = this.saidBytes; !this.say() && idle < 20; before = this.saidBytes) {
        idle = before === this.saidBytes ? idle + 1 : 0;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  const grant = (callId: number, bytes: number) =>
    under.say({ callId, command: { case: "grant", value: { bytes } } as never });

  it("frees its worker after a moment; the rest comes from the disk as it is taken, whole and in order", async () => {
    const body = bodyOf(5 * MEBIBYTE);
    const worker = new Worker((await under.open(1, WINDOW))!, body);
    await worker.goOn();
    expect(worker.saidBytes).to.be.below(400_000);
    const events = await under.readAll();
    clock.advance(250);
    await eventually("the worker had said all", () => worker.say());
    expect(spill.bytes).to.be.within(4 * MEBIBYTE, 6 * MEBIBYTE);
    while (!replyOf(events, 1).ended) {
      await grant(1, 200_000);
      events.push(...(await under.readAll()));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const reply = replyOf(events, 1);
    expect(reply.body.equals(body)).to.equal(true);
    const heads = events.filter(({ event }) => event.case === "reply" && event.value.context.length > 0);
    expect(heads).to.have.length(1);
  });

  it("never touches the disk if it is taken fast", async () => {
    const body = bodyOf(3 * MEBIBYTE);
    const worker = new Worker((await under.open(1, WINDOW))!, body);
    const events = [];
    while (!worker.say() || !replyOf(events, 1).ended) {
      events.push(...(await under.readAll()));
      clock.advance(10);
      expect(spill.bytes).to.equal(0);
      await grant(1, 64 * 1024);
    }
    expect(replyOf(events, 1).body.equals(body)).to.equal(true);
  });

  it("goes straight to its caller again once nothing waits on the disk", async () => {
    const body = bodyOf(3 * MEBIBYTE);
    const worker = new Worker((await under.open(1, WINDOW))!, body.subarray());
    worker.say();
    clock.advance(250);
    worker.say();
    const events = await under.readAll();
    await grant(1, 64 * MEBIBYTE);
    while (!worker.say() || !replyOf(events, 1).ended) events.push(...(await under.readAll()));
    expect(replyOf(events, 1).body.equals(body)).to.equal(true);
    expect(spill.bytes).to.equal(0);
  });

  it("has its worker wait once enough is on the disk, of a stream sooner", async () => {
    const endless = new Worker((await under.open(1, WINDOW))!, Buffer.alloc(8 * MEBIBYTE), true);
    const large = new Worker((await under.open(2, WINDOW))!, Buffer.alloc(40 * MEBIBYTE));
    for (const worker of [endless, large]) worker.say();
    clock.advance(250);
    await Promise.all([endless.goOn(), large.goOn()]);
    expect(endless.saidBytes).to.be.within(MEBIBYTE, 2.2 * MEBIBYTE);
    expect(large.saidBytes).to.be.within(32 * MEBIBYTE, 34 * MEBIBYTE);
  });

  it("waits on the disk when it is complete, if many such wait: they have no worker that would tell", async () => {
    const body = bodyOf(60_000);
    const count = 300;
    for (let id = 1; id <= count; id++) (await under.open(id, { windowBytes: 1 }))!.reply(body, { more: false });
    // The first byte of a window lets a whole part go, and then the reader has stopped.
    await eventually("the rest was on the disk", () => spill.bytes > 0);
    expect(under.session.heldBytes).to.be.below(5 * MEBIBYTE);
    const events = await under.readAll();
    for (let id = 1; id <= count; id++) {
      await grant(id, MEBIBYTE);
      events.push(...(await under.readAll()));
    }
    for (let round = 0; round < 100 && !replyOf(events, count).ended; round++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      events.push(...(await under.readAll()));
    }
    for (let id = 1; id <= count; id++)
      expect(replyOf(events, id), `call ${id}`).to.deep.equal({ body, ended: true, failure: "" });
  });

  it("leaves nothing behind when its caller leaves, or its worker dies", async () => {
    const [one, other] = [(await under.open(1, WINDOW))!, (await under.open(2, WINDOW))!];
    const workers = [new Worker(one, bodyOf(4 * MEBIBYTE)), new Worker(other, bodyOf(4 * MEBIBYTE))];
    for (const worker of workers) worker.say();
    clock.advance(250);
    // In the middle of it.
    for (const worker of workers) worker.say();
    await under.say({ callId: 1, command: { case: "cancel", value: {} } as never });
    other.fail(new RrError("WORKER_EXITED", "it died"));
    const events = await under.readAll();
    expect(one.cancelled).to.equal(true);
    expect(replyOf(events, 2).failure).to.equal("it died");
    await eventually("nothing waited on the disk", () => spill.bytes === 0);
  });
});
