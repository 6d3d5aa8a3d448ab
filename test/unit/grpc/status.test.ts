import { create, fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { expect } from "chai";
import { ClientError, Metadata, Status } from "nice-grpc-common";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.ts";
import { ErrorDetailSchema, ErrorReason as WireReason } from "../../../gen/roadrunner/errors/v1/error_detail_pb.ts";
import { ERROR_TABLE, type ErrorReason, RrError } from "../../../src/errors.ts";
import {
  fromClientError,
  fromErrorDetail,
  toErrorDetail,
  toServerError,
  wireReason,
} from "../../../src/grpc/status.ts";

const REASONS = Object.keys(ERROR_TABLE) as ErrorReason[];

const sample = (reason: ErrorReason) =>
  new RrError(reason, `a sentence about ${reason}`, {
    metadata: { pool: "http", pid: 7, exit_code: undefined },
    retryAfterMs: 1_500,
    violations: [{ field: "workers", description: "expected 1 to 16" }],
  });

describe("Error reasons", () => {
  it("are those of the contract, no more and no less", () => {
    const wire = Object.keys(WireReason).filter((name) => Number.isNaN(Number(name)) && name !== "UNSPECIFIED");
    expect(REASONS).to.have.members(wire);
  });

  it("have gRPC codes that exist", () => {
    for (const reason of REASONS) expect(Status[ERROR_TABLE[reason].grpc], reason).to.be.a("number");
  });

  it("have exit codes and HTTP statuses that scripts may rely on", () => {
    const table = REASONS.map((reason) => `${reason} ${ERROR_TABLE[reason].http} ${ERROR_TABLE[reason].exit}`);
    expect(table.filter((line) => !/ (4\d\d|5\d\d) [1-6]$/.test(line))).to.deep.equal([]);
    expect(ERROR_TABLE.POOL_NOT_FOUND.exit).to.equal(4);
    expect(ERROR_TABLE.QUEUE_FULL).to.deep.include({ http: 503, exit: 6 });
    expect(ERROR_TABLE.EXEC_TIMEOUT.http).to.equal(504);
    expect(ERROR_TABLE.WORKER_EXITED.http).to.equal(502);
    expect(ERROR_TABLE.PAYLOAD_TOO_LARGE.http).to.equal(413);
  });
});

for (const reason of REASONS)
  describe(`${reason} on the wire`, () => {
    it("survives the way through a gRPC status", () => {
      const trailer = new Metadata();
      const { code, details } = toServerError(sample(reason), trailer);
      expect(code).to.equal(Status[ERROR_TABLE[reason].grpc]);
      const received = fromClientError(new ClientError("/any/Method", code, details), trailer);
      expect(received).to.be.instanceOf(RrError);
      const { reason: got, message, metadata, retryAfterMs, violations } = received;
      expect({ got, message, metadata, retryAfterMs, violations }).to.deep.equal({
        got: reason,
        message: `a sentence about ${reason}`,
        metadata: { pool: "http", pid: "7" },
        retryAfterMs: 1_500,
        violations: [{ field: "workers", description: "expected 1 to 16" }],
      });
    });

    it("survives the way over a dispatch stream", () => {
      const detail = create(ErrorDetailSchema, toErrorDetail(sample(reason), 1_000));
      expect(detail.reason).to.equal(wireReason(reason));
      const { reason: got, message, metadata, retryAfterMs } = fromErrorDetail(detail);
      expect({ got, message, metadata, retryAfterMs }).to.deep.equal({
        got: reason,
        message: `a sentence about ${reason}`,
        metadata: { pool: "http", pid: "7" },
        retryAfterMs: 1_500,
      });
    });
  });

describe("gRPC status", () => {
  it("carries details that clients in any language understand", () => {
    const trailer = new Metadata();
    toServerError(sample("QUEUE_FULL"), trailer);
    const status = fromBinary(StatusSchema, trailer.get("grpc-status-details-bin") as Uint8Array);
    expect(status.code).to.equal(Status.RESOURCE_EXHAUSTED);
    expect(status.details.map(({ typeUrl }) => typeUrl)).to.deep.equal([
      "type.googleapis.com/google.rpc.ErrorInfo",
      "type.googleapis.com/google.rpc.BadRequest",
      "type.googleapis.com/google.rpc.RetryInfo",
    ]);
    const info = anyUnpack(status.details[0]!, ErrorInfoSchema)!;
    expect([info.reason, info.domain]).to.deep.equal(["QUEUE_FULL", "roadrunner"]);
  });

  it("without details becomes the nearest reason", () => {
    const bare = (code: Status) => fromClientError(new ClientError("/any/Method", code, "text")).reason;
    expect(bare(Status.UNAVAILABLE)).to.equal("UNAVAILABLE");
    expect(bare(Status.CANCELLED)).to.equal("CANCELLED");
    expect(bare(Status.DEADLINE_EXCEEDED)).to.equal("DEADLINE_EXCEEDED");
    expect(bare(Status.UNIMPLEMENTED)).to.equal("UNIMPLEMENTED");
    expect(bare(Status.DATA_LOSS)).to.equal("INTERNAL");
  });

  it("of another program is not taken for ours", () => {
    const trailer = new Metadata();
    toServerError(sample("QUEUE_FULL"), trailer);
    const bytes = trailer.get("grpc-status-details-bin") as Uint8Array;
    const foreign = new Metadata();
    foreign.set(
      "grpc-status-details-bin",
      Buffer.from(Buffer.from(bytes).toString("latin1").replace("roadrunner", "other-thin"), "latin1"),
    );
    const { reason } = fromClientError(new ClientError("/any/Method", Status.RESOURCE_EXHAUSTED, "text"), foreign);
    expect(reason).to.equal("PAYLOAD_TOO_LARGE");
  });

  it("keeps what was thrown otherwise as its cause", () => {
    const thrown = new TypeError("a bug");
    const error = fromClientError(thrown);
    expect([error.reason, error.message, error.cause]).to.deep.equal(["INTERNAL", "a bug", thrown]);
  });
});
