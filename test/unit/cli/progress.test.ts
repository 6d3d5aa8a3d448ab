import { expect } from "chai";
import { withProgress } from "../../../cli/progress.ts";
import { memoryTerminal } from "./memory-terminal.ts";

/** Resolves when the text appears in what was written: no guessing how long that takes. */
async function appears(read: () => string, text: string): Promise<void> {
  while (!read().includes(text)) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe("cli progress", () => {
  it("shows what takes longer than a second and wipes it at the end", async () => {
    const terminal = memoryTerminal({ messagesToTerminal: true });
    const startMs = performance.now();
    const result = await withProgress(terminal.messages, "scaling http", async () => {
      await appears(() => terminal.err, "scaling http");
      return 8;
    });
    expect(result).to.equal(8);
    expect(performance.now() - startMs).to.be.greaterThan(990);
    expect(terminal.err.endsWith("\r\x1b[K")).to.equal(true);
  });

  it("says nothing of what is quick", async () => {
    const terminal = memoryTerminal({ messagesToTerminal: true });
    await withProgress(terminal.messages, "quick", async () => undefined);
    expect(terminal.err).to.equal("");
  });

  it("says nothing into files and pipes", async () => {
    const terminal = memoryTerminal();
    await withProgress(terminal.messages, "slow", () => new Promise((resolve) => setTimeout(resolve, 1200)));
    expect(terminal.err).to.equal("");
  });

  it("wipes its line when the work fails", async () => {
    const terminal = memoryTerminal({ messagesToTerminal: true });
    const thrown = await withProgress(terminal.messages, "failing", async () => {
      await appears(() => terminal.err, "failing");
      throw new Error("no");
    }).catch((error) => error);
    expect(thrown).to.have.property("message", "no");
    expect(terminal.err.endsWith("\r\x1b[K")).to.equal(true);
  });
});
