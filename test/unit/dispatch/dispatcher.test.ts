import { expect } from "chai";
import { Deadline } from "../../../src/async/deadline.ts";
import { systemClock } from "../../../src/clock.ts";
import { Dispatcher } from "../../../src/dispatch/dispatcher.ts";
import type { RrError } from "../../../src/errors.ts";
import { EventLog } from "../../../src/events/event-log.ts";
import { silentLog } from "../../../src/log.ts";
import { Pool } from "../../../src/pool/pool.ts";
import { poolOptions } from "../../support/pool-options.ts";

/** Pools that nobody started: finding them and refusing calls needs no worker. */
const dispatcherOf = (...names: string[]) =>
  new Dispatcher(
    names.map(
      (name) =>
        new Pool(poolOptions({ name }), {
          clock: systemClock,
          log: silentLog,
          events: new EventLog(10),
          baseEnv: {},
        }),
    ),
  );

function refusal(dispatcher: Dispatcher, pool: string): RrError {
  let refused: RrError | undefined;
  const call = dispatcher.dispatch(
    {
      pool,
      request: { context: Buffer.alloc(0), body: Buffer.from("x"), codec: 0 },
      idempotent: false,
      requestId: "",
      timeoutMs: 0,
    },
    {
      reply: () => {
        throw new Error("nobody is there to answer");
      },
      failed: (error) => {
        refused = error;
      },
    },
  );
  // Of no use any more, and no harm either.
  call.resume();
  call.cancel();
  if (!refused) throw new Error("expected a refusal before dispatch returned");
  return refused;
}

describe("Dispatcher", () => {
  it("finds pools by name, and the only one without", () => {
    expect(dispatcherOf("http", "jobs").pool("jobs").name).to.equal("jobs");
    expect(dispatcherOf("http").pool("").name).to.equal("http");
  });

  it("lists pools by name", () => {
    expect(dispatcherOf("http", "alpha", "jobs").pools.map(({ name }) => name)).to.deep.equal([
      "alpha",
      "http",
      "jobs",
    ]);
  });

  it("names the known pools to who asks for an unknown one", () => {
    const error = refusal(dispatcherOf("http", "jobs"), "htpp");
    expect(error.reason).to.equal("POOL_NOT_FOUND");
    expect(error.message).to.contain('"htpp"').and.contain('"http", "jobs"');
    expect(error.metadata).to.include({ known: "http,jobs" });
  });

  it("wants a name where there are several", () => {
    const error = refusal(dispatcherOf("http", "jobs"), "");
    expect(error.reason).to.equal("INVALID_REQUEST");
    expect(error.violations.map(({ field }) => field)).to.deep.equal(["pool"]);
  });

  it("says that there are none", () => {
    expect(refusal(dispatcherOf(), "http").message).to.contain("none");
  });

  it("is idle without calls", async () => {
    const dispatcher = dispatcherOf("http");
    expect(dispatcher.callsOpen).to.equal(0);
    await dispatcher.whenIdle(Deadline.after(60_000));
  });
});
