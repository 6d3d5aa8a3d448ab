import { expect } from "chai";
import type { CallContext } from "nice-grpc-common";
import { setCaller } from "../../../src/api/caller.ts";
import { eventService } from "../../../src/api/event-service.ts";
import { EventLog } from "../../../src/events/event-log.ts";

describe("A watch of events that is read slowly", () => {
  it("tells first what it kept, then how many were lost, then what came after", async () => {
    const events = new EventLog(10);
    const stop = new AbortController();
    const context = { signal: stop.signal } as CallContext;
    setCaller(context, { role: "viewer", actor: "" });
    const watch = eventService(events, stop.signal).watchEvents({} as never, context);
    expect((await watch.next()).value?.item?.case).to.equal("started");
    for (let at = 1; at <= 1_500; at++) events.record("pool.paused", { message: String(at) });
    const told: string[] = [];
    const readOne = async () => {
      const { value } = await watch.next();
      const item = value!.item as { case: string; value: { message?: string; eventsMissed?: bigint } };
      told.push(item.case === "lagged" ? `${item.value.eventsMissed} missed` : item.value.message!);
    };
    await readOne();
    events.record("pool.paused", { message: "later" });
    while (told.at(-1) !== "later") await readOne();
    expect(told.slice(0, 3)).to.deep.equal(["1", "2", "3"]);
    expect(told.slice(-3)).to.deep.equal(["1000", "500 missed", "later"]);
    stop.abort();
    await watch.return(undefined);
  });
});
