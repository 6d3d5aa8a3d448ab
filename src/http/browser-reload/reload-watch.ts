import { setTimeout as sleep } from "node:timers/promises";
import type { CoreClient } from "../../client/core-client.ts";
import type { Log } from "../../log.ts";
import { afterEvent, type ReloadState, UNKNOWN } from "./reload-state.ts";

export type ReloadEvents = Pick<CoreClient["events"], "listEvents" | "watchEvents">;

const FILTER = { types: ["reload.*"] };
const RETRY_MS = 1_000;

/** Follows what a core says of its reloads until the signal comes; a connection that is lost is made again. */
export async function watchReloads(
  events: ReloadEvents,
  publish: (state: ReloadState) => void,
  signal: AbortSignal,
  log: Log,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await follow(events, publish, signal);
    } catch (thrown) {
      if (!signal.aborted) log.debug({ event: "http.reload_watch_lost" }, `reloads are not seen: ${String(thrown)}`);
    }
    await sleep(RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
  }
}

async function follow(events: ReloadEvents, publish: (state: ReloadState) => void, signal: AbortSignal): Promise<void> {
  const kept = await events.listEvents({ filter: FILTER }, { signal });
  let state = kept.events.reduce(afterEvent, UNKNOWN);
  publish(state);
  for await (const { item } of events.watchEvents({ filter: FILTER, afterRevision: kept.revision }, { signal })) {
    // What was missed is found in the list.
    if (item?.case === "lagged") return;
    if (item?.case !== "event") continue;
    state = afterEvent(state, item.value);
    publish(state);
  }
}
