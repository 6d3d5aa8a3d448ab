import { expect } from "chai";
import {
  type CallProgress,
  type CoreCandidate,
  chooseCore,
  mayBeSentAgain,
  mayGoElsewhere,
} from "../../../src/client/core-choice.ts";

interface NamedCore extends CoreCandidate {
  readonly name: string;
}

function core(name: string, openCalls: number, { connected = true, sick = [] as string[] } = {}): NamedCore {
  return { name, connected, openCalls, serves: (pool) => !sick.includes(pool) };
}

describe("chooseCore", () => {
  const chosen = (cores: readonly NamedCore[], turn = 0, refusedBy?: ReadonlySet<NamedCore>) =>
    chooseCore(cores, "http", turn, refusedBy)?.name;

  it("takes the one with the fewest calls", () => {
    expect(chosen([core("a", 3), core("b", 1), core("c", 2)])).to.equal("b");
  });

  it("takes equals in turn", () => {
    const cores = [core("a", 0), core("b", 0), core("c", 0)];
    expect([0, 1, 2, 3].map((turn) => chosen(cores, turn))).to.deep.equal(["a", "b", "c", "a"]);
  });

  it("prefers a healthy pool to a short queue, wherever it stands", () => {
    const [sick, well, busy] = [core("sick", 0, { sick: ["http"] }), core("well", 5), core("busy", 9)];
    for (const turn of [0, 1, 2]) expect(chosen([sick, well, busy], turn)).to.equal("well");
    expect(chosen([core("other", 0, { sick: ["jobs"] }), well])).to.equal("other");
  });

  it("asks a core whose pool is not healthy if there is no other: it knows why", () => {
    expect(chosen([core("a", 4, { sick: ["http"] }), core("b", 2, { sick: ["http"] })])).to.equal("b");
  });

  it("leaves out who cannot be reached and who has refused", () => {
    const [gone, refused, other] = [core("gone", 0, { connected: false }), core("refused", 0), core("other", 7)];
    expect(chosen([gone, refused, other], 0, new Set([refused]))).to.equal("other");
    expect(chosen([gone, refused], 1, new Set([refused]))).to.equal(undefined);
    expect(chosen([])).to.equal(undefined);
  });
});

describe("a call that failed", () => {
  const progress: CallProgress = {
    idempotent: false,
    answered: false,
    repeatable: true,
    complete: true,
    attemptsLeft: 1,
  };

  it("goes elsewhere if the core turned it away, not if a worker had it", () => {
    for (const reason of ["DRAINING", "POOL_PAUSED", "POOL_NOT_FOUND", "QUEUE_FULL", "CRASH_LOOP"] as const)
      expect(mayGoElsewhere(reason, progress), reason).to.equal(true);
    for (const reason of [
      "WORKER_ERROR",
      "WORKER_EXITED",
      "EXEC_TIMEOUT",
      "QUEUE_WAIT_EXCEEDED",
      "INVALID_REQUEST",
    ] as const)
      expect(mayGoElsewhere(reason, progress), reason).to.equal(false);
  });

  it("stays where its body or its reply is", () => {
    expect(mayGoElsewhere("DRAINING", { ...progress, repeatable: false })).to.equal(false);
    expect(mayGoElsewhere("DRAINING", { ...progress, answered: true })).to.equal(false);
  });

  it("that a worker had begun goes elsewhere only if twice does no harm", () => {
    expect(mayGoElsewhere("DRAINING", progress, true)).to.equal(false);
    expect(mayGoElsewhere("DRAINING", { ...progress, idempotent: true }, true)).to.equal(true);
  });

  it("is sent again after a broken connection if nobody can have run it, or twice does no harm", () => {
    expect(mayBeSentAgain(progress)).to.equal(false);
    expect(mayBeSentAgain({ ...progress, idempotent: true })).to.equal(true);
    expect(mayBeSentAgain({ ...progress, complete: false })).to.equal(true);
    expect(mayBeSentAgain({ ...progress, idempotent: true, answered: true })).to.equal(false);
    expect(mayBeSentAgain({ ...progress, idempotent: true, repeatable: false })).to.equal(false);
  });

  it("does not take one core after the other with it", () => {
    const lost = (attemptsLeft: number) => mayBeSentAgain({ ...progress, idempotent: true, attemptsLeft });
    expect([2, 1, 0].map(lost)).to.deep.equal([true, true, false]);
  });
});
