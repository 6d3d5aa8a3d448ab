import { expect } from "chai";
import { CallGate } from "../../../src/api/call-gate.ts";
import { Deadline } from "../../../src/async/deadline.ts";

describe("CallGate", () => {
  it("is empty when every call has left", async () => {
    const gate = new CallGate();
    await gate.whenEmpty(Deadline.after(1_000));
    gate.entered();
    gate.entered();
    const order: string[] = [];
    const empty = gate.whenEmpty(Deadline.after(60_000)).then(() => order.push("empty"));
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
    await gate.whenEmpty(Deadline.after(0));
    await gate.whenEmpty(Deadline.after(10));
    gate.left();
    await gate.whenEmpty(Deadline.after(60_000));
  });

  it("says that it is closed", () => {
    const gate = new CallGate();
    expect(gate.closed).to.equal(false);
    gate.close();
    expect(gate.closed).to.equal(true);
  });
});
