import { create } from "@bufbuild/protobuf";
import { expect } from "chai";
import {
  BodyChunkSchema,
  FileChunkSchema,
  OpenCallSchema,
} from "../../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { type Command, commandPieces } from "../../../src/client/command-pieces.ts";
import { RrError } from "../../../src/errors.ts";
import { commandBytes, pieceLimits } from "../../../src/grpc/dispatch-sizes.ts";

const limits = pieceLimits(64 * 1024);
const bytes = (count: number) => Buffer.alloc(count, "0123456789");
const open = (init: object): Command => ({ case: "open", value: create(OpenCallSchema, init) });

describe("Commands that are too large for a message", () => {
  it("are left alone if they are not", () => {
    const small = open({ context: bytes(100), body: bytes(100) });
    expect(commandPieces(small, limits)).to.deep.equal([small]);
  });

  for (const [contextBytes, bodyBytes, moreBody] of [
    [100, 300_000, false],
    [60_000, 60_000, false],
    [60_000, 60_000, true],
    [0, 40_000, false],
  ] as const)
    it(`an open with a head of ${contextBytes} and a body of ${bodyBytes} bytes comes in pieces, whole`, () => {
      const pieces = commandPieces(open({ context: bytes(contextBytes), body: bytes(bodyBytes), moreBody }), limits);
      const [head, ...rest] = pieces;
      if (head?.case !== "open") throw new Error("expected it to begin with open");
      expect(head.value.context).to.have.length(contextBytes);
      expect(head.value.moreBody).to.equal(true);
      const bodies = rest.map((piece) => {
        if (piece.case !== "body") throw new Error("expected a body");
        return piece.value;
      });
      expect(Buffer.concat([head.value.body, ...bodies.map(({ data }) => data)])).to.deep.equal(bytes(bodyBytes));
      expect(bodies.map(({ last }) => last)).to.deep.equal(
        bodies.map((_, at) => !moreBody && at === bodies.length - 1),
      );
      for (const piece of pieces) expect(commandBytes({ command: piece })).to.be.at.most(limits.messageBytes);
    });

  it("files and bodies come in pieces; the head at a body's end comes last", () => {
    const value = create(BodyChunkSchema, { data: bytes(100_000), last: true, context: bytes(50_000) });
    const body = commandPieces({ case: "body", value }, limits).map((piece) => piece.value as typeof value);
    expect(Buffer.concat(body.map(({ data }) => data))).to.deep.equal(bytes(100_000));
    expect(body.at(-1)).to.deep.include({ last: true, context: bytes(50_000) });
    expect(body.filter(({ last, context }) => last || context.length > 0)).to.have.length(1);
    const chunk = create(FileChunkSchema, { fileId: 7, data: bytes(100_000), last: true });
    const file = commandPieces({ case: "file", value: chunk }, limits).map((piece) => piece.value as typeof chunk);
    expect(Buffer.concat(file.map(({ data }) => data))).to.deep.equal(bytes(100_000));
    expect(file.map(({ last }) => last).lastIndexOf(false)).to.equal(file.length - 2);
    expect(file.every(({ fileId }) => fileId === 7)).to.equal(true);
  });

  it("fail with the limit if it is the head that does not fit", () => {
    for (const command of [
      open({ context: bytes(65_000) }),
      { case: "body" as const, value: create(BodyChunkSchema, { last: true, context: bytes(65_000) }) },
    ])
      expect(() => commandPieces(command, limits))
        .to.throw(RrError, String(limits.payloadBytes))
        .with.property("reason", "PAYLOAD_TOO_LARGE");
  });
});
