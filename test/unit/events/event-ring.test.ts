import { expect } from "chai";
import { EventRing } from "../../../src/events/event-ring.ts";

describe("EventRing", () => {
  function filled(capacity: number, types: readonly string[]): EventRing<{ revision: number; type: string }> {
    const ring = new EventRing<{ revision: number; type: string }>(capacity);
    for (const [at, type] of types.entries()) ring.push({ revision: at + 1, type });
    return ring;
  }

  const repeated = (type: string, count: number) => Array.from({ length: count }, () => type);

  it("gives a type all the room that no other wants", () => {
    const ring = filled(5, repeated("a", 9));
    expect(ring.all().map(({ revision }) => revision)).to.deep.equal([5, 6, 7, 8, 9]);
    expect(ring.newestLost).to.equal(4);
  });

  it("keeps what happened once, whatever happens all the time", () => {
    const ring = filled(10, ["once", ...repeated("often", 5_000), "twice", ...repeated("often", 5_000), "twice"]);
    const types = ring.all().map(({ type }) => type);
    expect(types).to.deep.equal(["once", "twice", ...repeated("often", 7), "twice"]);
    expect(ring.count).to.equal(10);
  });

  it("shares the room between two that happen all the time", () => {
    const ring = filled(
      10,
      Array.from({ length: 1_000 }, (_, at) => (at % 3 === 0 ? "a" : "b")),
    );
    const count = (type: string) => ring.all().filter((event) => event.type === type).length;
    expect([count("a"), count("b")]).to.deep.equal([5, 5]);
  });

  it("is in order", () => {
    const revisions = filled(
      50,
      Array.from({ length: 500 }, (_, at) => "abcdefg"[at % 7]!),
    )
      .all()
      .map(({ revision }) => revision);
    expect(revisions).to.deep.equal([...revisions].sort((one, other) => one - other));
    expect(revisions.at(-1)).to.equal(500);
  });

  it("may have room for one", () => {
    expect(filled(1, ["a", "b", "a"]).all()).to.deep.equal([{ revision: 3, type: "a" }]);
  });
});
