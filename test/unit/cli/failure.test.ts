import { expect } from "chai";
import { explainFailure, failureData, renderFailure } from "../../../cli/failure.ts";
import { plain } from "../../../cli/output/colour.ts";
import { ERROR_TABLE, type ErrorReason, RrError } from "../../../src/errors.ts";

describe("cli failures", () => {
  const core = { address: "tcp://127.0.0.1:6002", source: "the default" };

  it("have the exit code of their reason", () => {
    for (const reason of Object.keys(ERROR_TABLE) as ErrorReason[])
      expect(explainFailure(new RrError(reason, "x")).exitCode, reason).to.equal(ERROR_TABLE[reason].exit);
  });

  it("keep the promised exit codes", () => {
    const promised: [ErrorReason, number][] = [
      ["CONFIG_INVALID", 2],
      ["INVALID_REQUEST", 2],
      ["POOL_NOT_FOUND", 4],
      ["WORKER_NOT_FOUND", 4],
      ["UNAUTHENTICATED", 5],
      ["PERMISSION_DENIED", 5],
      ["QUEUE_FULL", 6],
      ["DRAINING", 6],
      ["UNAVAILABLE", 6],
      ["WORKER_ERROR", 1],
      ["BOOT_FAILED", 1],
    ];
    for (const [reason, exitCode] of promised)
      expect(explainFailure(new RrError(reason, "x")).exitCode, reason).to.equal(exitCode);
  });

  it("say where the core was looked for, why it was not reached, and what to do", () => {
    const error = new RrError(
      "UNAVAILABLE",
      "No connection established. Last error: connect ECONNREFUSED 127.0.0.1:6002",
    );
    expect(renderFailure(explainFailure(error, { core }), plain)).to.equal(
      "error: cannot reach the core at tcp://127.0.0.1:6002 (the default): connection refused\n" +
        "hint: is `rrctl serve` running? Start it, or name its address with --address, RRCTL_ADDRESS or -c <its .rr.yaml>\n",
    );
  });

  it("say that something else than gRPC answers, and that a host is not known", () => {
    const told = (text: string) => renderFailure(explainFailure(new RrError("UNAVAILABLE", text), { core }), plain);
    expect(told("No connection established. Last error: Protocol error (2026-01-01T00:00:00.000Z).")).to.contain(
      "does not speak gRPC",
    );
    expect(told("Name resolution failed for target dns:nosuch.invalid:5"))
      .to.contain("unknown host")
      .and.contain("is the host's name right?");
  });

  it("list the violations of a request", () => {
    const error = new RrError("INVALID_REQUEST", "the request is not valid", {
      violations: [{ field: "workers", description: "must be 1 to 500" }],
    });
    expect(renderFailure(explainFailure(error, { command: "scale" }), plain)).to.equal(
      "error: the request is not valid\n  workers: must be 1 to 500\nhint: `rrctl scale --help` shows how it is used\n",
    );
  });

  it("do not repeat a violation that is the message", () => {
    const description = "0 is only allowed for a paused pool";
    const error = new RrError("INVALID_REQUEST", `pool "http" cannot have 0 workers: ${description}`, {
      violations: [{ field: "workers", description }],
    });
    expect(renderFailure(explainFailure(error), plain).split("\n")).to.have.length(3);
  });

  it("name the pool of the error in the hint", () => {
    const error = new RrError("POOL_PAUSED", "the pool is paused", { metadata: { pool: "jobs" } });
    expect(explainFailure(error).hint).to.equal("`rrctl resume jobs` lets it take calls again");
  });

  it("keep the lines of a worker's last output, without its escape sequences", () => {
    const error = new RrError("BOOT_FAILED", "worker did not start\nPHP Parse error\x1b[0m on line 3\n");
    expect(renderFailure(explainFailure(error), plain)).to.match(
      /^error: worker did not start\n {2}PHP Parse error\ufffd\[0m on line 3\nhint: run the worker's command/,
    );
  });

  it("send nobody to a server that is not there", () => {
    for (const reason of ["BOOT_FAILED", "BOOT_TIMEOUT", "CRASH_LOOP"] as const) {
      const error = new RrError(reason, "worker did not start", { metadata: { command: "php worker.php" } });
      const byHand = "run the worker's command by hand to see what it says (php worker.php)";
      expect(explainFailure(error, { command: "serve" }).hint).to.equal(byHand);
      expect(explainFailure(error, { command: "reset", core }).hint).to.equal(
        `${byHand}; \`rrctl events --type 'worker.*'\` shows the last attempts`,
      );
    }
  });

  it("tell a frame that is too large from text", () => {
    const error = new RrError("PROTOCOL_VIOLATION", "a frame of 9 bytes, where pool.max_frame_size allows 8");
    expect(explainFailure(error, { core }).hint).to.contain("raise pool.max_frame_size");
  });

  it("are one object for programs", () => {
    const error = new RrError("POOL_NOT_FOUND", 'there is no pool "x"', { metadata: { pool: "x" } });
    expect(failureData(explainFailure(error))).to.deep.equal({
      error: {
        reason: "POOL_NOT_FOUND",
        message: 'there is no pool "x"',
        violations: [],
        hint: "`rrctl pools` lists the pools",
        metadata: { pool: "x" },
        exit_code: 4,
      },
    });
  });

  it("take anything thrown as an internal error", () => {
    const failure = explainFailure(new TypeError("x is not a function"));
    expect([failure.reason, failure.exitCode, failure.message]).to.deep.equal(["INTERNAL", 1, "x is not a function"]);
  });
});
