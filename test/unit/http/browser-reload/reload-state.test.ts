import { expect } from "chai";
import { afterEvent, combined, type ReloadEvent, UNKNOWN } from "../../../../src/http/browser-reload/reload-state.ts";

let revision = 0n;
const event = (type: string, pool = "", message = ""): ReloadEvent => ({
  type,
  pool,
  message,
  revision: ++revision,
  time: { seconds: 1000n, nanos: 5 },
});
const stateAfter = (...events: ReloadEvent[]) => events.reduce(afterEvent, UNKNOWN);

describe("reload state", () => {
  it("has another version after each reset, and none before the core watches", () => {
    expect(stateAfter(event("reload.missing")).version).to.equal("");
    const watching = stateAfter(event("reload.watching"));
    expect(watching.version).to.match(/^1000\.5\.\d+$/);
    expect(afterEvent(watching, event("reload.changed", "http"))).to.deep.equal(watching);
    expect(afterEvent(watching, event("reload.watching"))).to.deep.equal(watching);
    expect(afterEvent(watching, event("reload.done", "http")).version).not.to.equal(watching.version);
  });

  it("keeps the failure of a pool until that pool is reset", () => {
    const failed = stateAfter(event("reload.failed", "a", "first"), event("reload.failed", "b", "second"));
    expect(failed.failures).to.deep.equal({ a: "first", b: "second" });
    expect(afterEvent(failed, event("reload.failed", "a", "third")).failures.a).to.equal("third");
    expect(afterEvent(failed, event("reload.done", "a")).failures).to.deep.equal({ b: "second" });
  });

  it("of several cores is known when all are, and has the failures of all", () => {
    const one = stateAfter(event("reload.done", "a"), event("reload.failed", "a", "why"));
    const two = stateAfter(event("reload.watching"));
    expect(combined([one, UNKNOWN])).to.deep.equal({ version: "", failures: { a: "why" } });
    expect(combined([one, two]).version).to.equal(`${one.version}-${two.version}`);
  });
});
