import { expect } from "chai";
import { describeExit, explainExit, lastLine } from "../../../src/worker/exit-explanation.ts";

const explain = (exit: { code: number | null; signal: NodeJS.Signals | null }, lastOutput = "") =>
  explainExit({ pool: "http", pid: 7, exit, lastOutput });

describe("explainExit", () => {
  it("names code or signal, pool and pid", () => {
    const byCode = explain({ code: 3, signal: null });
    expect(byCode.reason).to.equal("WORKER_EXITED");
    expect(byCode.metadata).to.deep.equal({ pool: "http", pid: "7", exit_code: "3" });
    expect(byCode.message).to.equal('worker 7 of pool "http" ended with exit code 3 while it ran a call');
    const bySignal = explain({ code: null, signal: "SIGSEGV" });
    expect(bySignal.metadata).to.deep.equal({ pool: "http", pid: "7", signal: "SIGSEGV" });
    expect(bySignal.message).to.contain("signal SIGSEGV").and.contain("crashed");
  });

  it("guesses what exit(), die() and the kernel mean", () => {
    expect(explain({ code: 0, signal: null }).message).to.contain("exit() or die()");
    expect(explain({ code: null, signal: "SIGKILL" }).message).to.contain("memory runs out");
  });

  it("quotes the line that says most", () => {
    const trace = [
      "PHP Fatal error:  Uncaught DomainException: no such thing in /app/index.php:3",
      "Stack trace:",
      "#0 {main}",
      "  thrown in /app/index.php on line 3",
      "",
    ].join("\n");
    expect(explain({ code: 255, signal: null }, trace).message).to.contain("Uncaught DomainException: no such thing");
    expect(explain({ code: 2, signal: null }, "only this\n").message).to.match(/: only this$/);
  });

  it("tells PHP's memory limit from other fatal errors", () => {
    const text = "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes)";
    const error = explain({ code: 255, signal: null }, text);
    expect(error.reason).to.equal("WORKER_OOM");
    expect(error.message).to.contain("memory_limit");
    expect(error.metadata.last_output).to.equal(text);
  });

  it("keeps the end of a long output only", () => {
    const error = explain({ code: 255, signal: null }, `${"x".repeat(10_000)}the end`);
    expect(error.metadata.last_output)
      .to.have.length(2048)
      .and.match(/the end$/);
  });
});

describe("describeExit", () => {
  it("prefers the signal", () => {
    expect(describeExit({ code: null, signal: "SIGTERM" })).to.equal("signal SIGTERM");
    expect(describeExit({ code: 255, signal: null })).to.equal("exit code 255");
  });
});

describe("lastLine", () => {
  it("is empty without output", () => {
    expect(lastLine("\n \n")).to.equal("");
  });

  it("prefers the last line that names an error", () => {
    expect(lastLine("first error\nsecond exception\nbye\n")).to.equal("second exception");
  });
});
