import { expect } from "chai";
import { ReceiveWindow } from "../../../src/client/receive-window.ts";

const MEBIBYTE = 1024 * 1024;

describe("ReceiveWindow", () => {
  function window(windowBytes: number) {
    const given: number[] = [];
    let timesTight = 0;
    const receive = new ReceiveWindow(
      windowBytes,
      (bytes) => given.push(bytes),
      () => timesTight++,
    );
    return { receive, given, timesTight: () => timesTight };
  }

  it("is told when it opens, and gives back every byte once, in large portions", () => {
    const { receive, given } = window(16 * MEBIBYTE);
    receive.open();
    for (let call = 0; call < 1_000; call++) {
      receive.received(10_000);
      receive.granted(4_000);
      receive.released(6_000);
    }
    expect(receive.heldBytes).to.equal(0);
    const [opened, ...back] = given;
    expect(opened).to.equal(16 * MEBIBYTE);
    expect(back).to.have.length(5);
    expect(6_000_000 - back.reduce((sum, bytes) => sum + bytes, 0)).to.be.within(0, MEBIBYTE);
  });

  it("asks for small portions while much is held, and says when that begins", () => {
    const { receive, timesTight } = window(16 * MEBIBYTE);
    receive.received(8 * MEBIBYTE);
    expect([receive.portionBytes, timesTight()]).to.deep.equal([undefined, 0]);
    receive.received(1);
    receive.received(1);
    expect(timesTight()).to.equal(1);
    expect(receive.portionBytes).to.be.lessThan(16 * 1024 + 1);
    receive.released(MEBIBYTE);
    expect(receive.portionBytes).to.equal(undefined);
  });

  it("tells nothing without a bound, and nothing of a connection that is gone", () => {
    const unbounded = window(Number.POSITIVE_INFINITY);
    unbounded.receive.open();
    unbounded.receive.received(1e12);
    unbounded.receive.released(1e12);
    expect(unbounded.given).to.deep.equal([]);
    const gone = window(MEBIBYTE);
    gone.receive.received(MEBIBYTE);
    gone.receive.close();
    gone.receive.released(MEBIBYTE);
    expect(gone.given).to.deep.equal([]);
  });
});
