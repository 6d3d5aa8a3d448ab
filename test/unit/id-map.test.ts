import { expect } from "chai";
import { IdMap } from "../../src/id-map.ts";

describe("IdMap", () => {
  it("is empty at first", () => {
    const map = new IdMap<object>();
    expect([map.size, map.get(0), map.has(7), map.delete(7)]).to.deep.equal([0, undefined, false, false]);
  });

  it("keeps values by any id, replaces and forgets them", () => {
    const map = new IdMap<{ name: string }>();
    for (const id of [0, 1, 64, 128, 0xffff_ffff, 0x8000_0000]) map.set(id, { name: String(id) });
    map.set(64, { name: "another" });
    expect(map.size).to.equal(6);
    expect(map.get(64)).to.deep.equal({ name: "another" });
    expect(map.get(0xffff_ffff)).to.deep.equal({ name: "4294967295" });
    expect(map.delete(0)).to.equal(true);
    expect(map.delete(0)).to.equal(false);
    expect(map.get(128), "behind the one that went").to.deep.equal({ name: "128" });
    map.clear();
    expect([map.size, map.values()]).to.deep.equal([0, []]);
  });

  it("does what a Map does, whatever comes and goes", () => {
    const [ours, theirs] = [new IdMap<{ at: number }>(), new Map<number, { at: number }>()];
    // A generator of its own, so that a failure comes again.
    let state = 42;
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    for (let at = 0; at < 50_000; at++) {
      // Few and crowded, then many, then few again.
      const id = random(at % 20_000 < 10_000 ? 90 : 5_000) * (at % 3 === 0 ? 64 : 1);
      if (random(2) === 0) {
        ours.set(id, { at });
        theirs.set(id, { at });
      } else expect(ours.delete(id)).to.equal(theirs.delete(id));
      expect(ours.get(id)).to.deep.equal(theirs.get(id));
      expect(ours.size).to.equal(theirs.size);
    }
    const sorted = (entries: Iterable<[number, { at: number }]>) => [...entries].sort(([one], [other]) => one - other);
    expect(sorted(ours.entries())).to.deep.equal(sorted(theirs.entries()));
    expect(ours.values()).to.have.length(theirs.size);
    for (const id of [...theirs.keys()]) ours.delete(id);
    expect(ours.size).to.equal(0);
  });
});
