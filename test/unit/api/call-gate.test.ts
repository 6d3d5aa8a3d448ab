import { expect } from "chai";
import { CallGate } from "../../../src/api/call-gate.ts";

describe("CallGate", () => {
  it("is empty when every call has left", async () => {
    const gate = new CallGate();
    await gate.whenEmpty(1_000);
    gate.entered();
    gate.entered();
    const order: string[] = [];
    const empty = gate.whenEmpty(60_000).then(() => order.push("empty"));
    gate.left();
    await Promise.resolve();
    order.push("one left");
    gate.left();
    await empty;
    expect(order).to.deep.equal(["one left", "empty"]);
  });

  it("waits no longer than it may", async () => {
    const gate = new CallGate();
    gate.entered();
    await gate.whenEmpty(0);
    await gate.whenEmpty(10);
    gate.left();
    await gate.whenEmpty(60_000);
  });

  it("says that it is closed", () => {
    const gate = new CallGate();
    expect(gate.closed).to.equal(false);
    gate.close();
    expect(gate.closed).to.equal(true);
  });
});
