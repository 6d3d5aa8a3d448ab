import { EventEmitter } from "node:events";
import { expect } from "chai";
import { handleSignals, ignoreSignals, SIGNAL_MEANINGS } from "../../../src/life/signals.ts";
import { StartTerminal } from "../../../src/life/terminal.ts";

const SIGNALS = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR2", "SIGUSR1"] as const;

/** What comes of each signal. */
function outcomes(terminal: { isGone: boolean }): Record<string, string> {
  const source = new EventEmitter();
  const seen: Record<string, string> = {};
  const noted = (what: string) => (signal: string) => {
    seen[signal] = what;
  };
  handleSignals({ end: noted("end"), reset: noted("reset"), reopenLogs: noted("reopen") }, source, terminal);
  for (const signal of SIGNALS) source.emit(signal);
  return seen;
}

describe("Signals", () => {
  it("mean what operators expect of them", () => {
    expect(outcomes({ isGone: false })).to.deep.equal({
      SIGTERM: "end",
      SIGINT: "end",
      SIGQUIT: "end",
      SIGHUP: "reset",
      SIGUSR2: "reset",
      SIGUSR1: "reopen",
    });
  });

  it("HUP ends a server whose terminal is gone", () => {
    expect(outcomes({ isGone: true })).to.include({ SIGHUP: "end", SIGUSR2: "reset" });
  });

  it("all have a listener where the parent decides", () => {
    const source = new EventEmitter();
    ignoreSignals(source);
    expect(source.eventNames())
      .to.have.members(Object.keys(SIGNAL_MEANINGS))
      .and.to.have.members([...SIGNALS]);
  });
});

describe("StartTerminal", () => {
  it("is gone when none of the streams is a terminal any more that was one", () => {
    const terminals = new Set([0, 2]);
    const terminal = new StartTerminal((descriptor) => terminals.has(descriptor));
    expect(terminal.isGone).to.equal(false);
    terminals.delete(0);
    expect(terminal.isGone).to.equal(false);
    terminals.delete(2);
    expect(terminal.isGone).to.equal(true);
  });

  it("that never was is never gone", () => {
    expect(new StartTerminal(() => false).isGone).to.equal(false);
  });
});
