import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect } from "chai";
import {
  BodyChunkSchema,
  FileChunkSchema,
  OpenCallSchema,
} from "../../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { CallIntake, type IntakeSettings } from "../../../src/api/call-intake.ts";
import { RrError } from "../../../src/errors.ts";
import type { WorkerRequest } from "../../../src/goridge/worker-protocol.ts";
import { Spool } from "../../../src/spool/spool.ts";
import { eventually } from "../../support/eventually.ts";
import { memoryLog } from "../../support/memory-log.ts";

const MEGABYTE = 1024 * 1024;

describe("intake of calls", () => {
  let base: string;
  let spool: Spool;
  let settings: IntakeSettings;

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), "rr-intake-test-"));
    spool = new Spool({ directory: base, bytesMax: 0 }, memoryLog().log);
    settings = { payloadBytesMax: 20 * MEGABYTE, spool, heldBytes: 0 };
  });
  afterEach(async () => {
    await spool.close();
    expect(readdirSync(base)).to.deep.equal([]);
    rmSync(base, { recursive: true });
  });

  /** An intake, and what it told. */
  class Told {
    takenBytes = 0;
    readonly files = new Map<number, { path: string; sizeBytes: bigint; error: number }>();
    request: WorkerRequest | undefined;
    failure: RrError | undefined;
    readonly intake: CallIntake;

    constructor({ context = "old", body = "", owner = () => ({}) } = {}) {
      const open = create(OpenCallSchema, { context: Buffer.from(context), body: Buffer.from(body), moreBody: true });
      this.intake = new CallIntake(open, settings, owner, {
        taken: (bytes) => {
          this.takenBytes += bytes;
        },
        stored: ({ fileId, ...rest }) => void this.files.set(fileId, rest),
        complete: (request) => {
          this.request = request;
        },
        failed: (error) => {
          this.failure = error;
        },
      });
    }

    body(data: string | Buffer, last = false, context = ""): this {
      this.intake.body(create(BodyChunkSchema, { data: Buffer.from(data), last, context: Buffer.from(context) }));
      return this;
    }

    file(fileId: number, data: string | Buffer, last = false): this {
      this.intake.file(create(FileChunkSchema, { fileId, data: Buffer.from(data), last }));
      return this;
    }
  }

  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

  it("puts a small body together in memory, and takes the last context", () => {
    const told = new Told({ body: "a" }).body("b").body("c", true, "new");
    expect([text(told.request!.context), text(told.request!.body), told.request!.source]).to.deep.equal([
      "new",
      "abc",
      undefined,
    ]);
    expect(spool.files).to.equal(0);
    expect(settings.heldBytes).to.equal(3);
    told.intake.release();
    expect(settings.heldBytes).to.equal(0);
  });

  it("keeps a large body on the disk", async () => {
    const told = new Told({ body: "start" });
    for (let count = 0; count < 6; count++) told.body(Buffer.alloc(MEGABYTE, count));
    told.body("end", true);
    await eventually("the request was complete", () => told.request);
    expect(settings.heldBytes, "nothing is left in memory").to.equal(0);
    expect(told.request!.body).to.have.length(0);
    const chunks: Buffer[] = [];
    for await (const chunk of told.request!.source!.chunks()) chunks.push(Buffer.from(chunk));
    const all = Buffer.concat(chunks);
    expect([all.length, all.subarray(0, 5).toString(), all.subarray(-3).toString()]).to.deep.equal([
      6 * MEGABYTE + 8,
      "start",
      "end",
    ]);
    expect(told.takenBytes, "what was sent in the first message is not told").to.be.within(
      6 * MEGABYTE - 256 * 1024,
      6 * MEGABYTE + 3,
    );
    told.intake.release();
  });

  it("waits for its files, and tells where they are", async () => {
    const told = new Told().file(1, "one", true).file(2, "t").file(2, "wo").file(2, "", true).body("body", true);
    expect(told.request, "files are not stored yet").to.equal(undefined);
    await eventually("the request was complete", () => told.request);
    const { path, ...rest } = told.files.get(2)!;
    expect(rest).to.deep.equal({ sizeBytes: 3n, error: 0 });
    expect(readFileSync(path, "utf8")).to.equal("two");
    told.intake.release();
    await eventually("the files were removed", () => spool.files === 0);
  });

  it("is released in the middle without a trace", async () => {
    const told = new Told().file(1, Buffer.alloc(MEGABYTE)).body("x");
    told.intake.release();
    told.file(1, "more").body("more", true);
    await eventually("the file was removed", () => spool.files === 0);
    expect([told.request, told.failure, settings.heldBytes]).to.deep.equal([undefined, undefined, 0]);
  });

  const faults: [what: string, act: (told: Told) => unknown, failure: RegExp][] = [
    ["a file that has not ended", (told) => told.file(1, "x").body("", true), /INVALID_REQUEST.*1 files of the call/],
    ["more of a file that has", (told) => told.file(1, "x", true).file(1, "y"), /INVALID_REQUEST.*has ended before/],
    [
      "too many files at a time",
      (told) => Array.from({ length: 65 }, (_, at) => told.file(at, "x")),
      /INVALID_REQUEST.*64 files at the same time/,
    ],
    [
      "more than a request may weigh",
      (told) => Array.from({ length: 21 }, () => told.file(1, Buffer.alloc(MEGABYTE))),
      /PAYLOAD_TOO_LARGE/,
    ],
    [
      "more than a request may weigh, body and files together",
      (told) => told.file(1, Buffer.alloc(10 * MEGABYTE)).body(Buffer.alloc(11 * MEGABYTE)),
      /PAYLOAD_TOO_LARGE/,
    ],
  ];
  for (const [what, act, failure] of faults)
    it(`refuses ${what}`, async () => {
      const told = new Told();
      act(told);
      expect(`${told.failure?.reason} ${told.failure?.message}`).to.match(failure);
      told.body("", true);
      expect(told.request).to.equal(undefined);
      await eventually("nothing was kept", () => spool.files === 0 && settings.heldBytes === 0);
    });

  it("fails if nobody can own its files", () => {
    const told = new Told({
      owner: () => {
        throw new RrError("POOL_NOT_FOUND", "there is no such pool");
      },
    }).file(1, "x");
    expect(told.failure).to.include({ reason: "POOL_NOT_FOUND" });
  });

  it("keeps bodies on the disk earlier while many wait in memory", async () => {
    settings.heldBytes = 65 * MEGABYTE;
    const told = new Told().body("x".repeat(100_000)).body("", true);
    await eventually("the request was complete", () => told.request);
    expect(told.request!.source).not.to.equal(undefined);
    told.intake.release();
  });
});
