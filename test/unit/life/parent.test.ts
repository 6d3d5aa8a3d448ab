import { expect } from "chai";
import { endsWithParent, watchParent } from "../../../src/life/parent.ts";
import { eventually } from "../../support/eventually.ts";

describe("The parent of a process", () => {
  it("matters to who was started by npm, or was told so", () => {
    expect(endsWithParent({})).to.equal(false);
    expect(endsWithParent({ npm_lifecycle_event: "start" })).to.equal(true);
    expect(endsWithParent({ npm_lifecycle_event: "npx" })).to.equal(true);
    expect(endsWithParent({ RRCTL_END_WITH_PARENT: "1" })).to.equal(true);
    expect(endsWithParent({ RRCTL_END_WITH_PARENT: "0" })).to.equal(false);
  });

  it("is missed once, when the system has given another one", async () => {
    let pid = 4711;
    let missed = 0;
    watchParent(
      () => missed++,
      () => pid,
      1,
      4711,
    );
    let looks = 0;
    watchParent(
      () => {},
      () => {
        looks++;
        return 4711;
      },
      1,
      4711,
    );
    await eventually("it looked a few times", () => looks > 3);
    expect(missed).to.equal(0);
    pid = 1;
    await eventually("it was missed", () => missed === 1);
    const before = looks;
    await eventually("the other looked on", () => looks > before + 3);
    expect(missed).to.equal(1);
  });

  it("is not missed by who never had one", async () => {
    let asked = 0;
    watchParent(
      () => {
        throw new Error("nobody is gone");
      },
      () => {
        asked++;
        return 1;
      },
      1,
      1,
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(asked).to.equal(0);
  });

  it("is missed by who lost it before anybody looked", async () => {
    let missed = 0;
    watchParent(
      () => missed++,
      () => 1,
      1,
      4711,
    );
    await eventually("it was missed", () => missed === 1);
  });
});
