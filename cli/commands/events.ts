import {
  type Event,
  EventSchema,
  LaggedSchema,
  ListEventsResponseSchema,
  Severity,
} from "../../gen/roadrunner/event/v1/event_service_pb.ts";
import type { Command } from "../invocation.ts";
import { messageData, timeMs } from "../message-data.ts";
import type { Document } from "../output/output.ts";
import { parseInteger, parseSinceMs } from "../values.ts";
import { eventLine } from "../views/events.ts";

interface EventsOptions {
  follow?: boolean;
  pool?: string[];
  type?: string[];
  severity?: string;
  since?: string;
  after?: string;
  limit?: string;
}

const SEVERITIES: Record<string, Severity> = {
  info: Severity.INFO,
  warning: Severity.WARNING,
  error: Severity.ERROR,
};
const LIMIT_MAX = 100_000;

/** Kept events, and with --follow all that come. The watch starts where the list ended, so that none is missed. */
export const run: Command<EventsOptions> = async ({ core, options, terminal }) => {
  const filter = {
    pools: options.pool ?? [],
    types: options.type ?? [],
    minSeverity: options.severity === undefined ? Severity.UNSPECIFIED : SEVERITIES[options.severity]!,
  };
  const sinceMs = options.since === undefined ? -Infinity : parseSinceMs("--since", options.since, Date.now());
  const afterRevision =
    options.after === undefined ? 0n : BigInt(parseInteger("--after", options.after, 0, Number.MAX_SAFE_INTEGER));
  const limit = options.limit === undefined ? 0 : parseInteger("--limit", options.limit, 1, LIMIT_MAX);

  const listed = await core.ask("listing the events", (client, signal) =>
    // The time is compared here, so a limit in the request could leave out events that are asked for: none is lost by
    // cutting later.
    client.events.listEvents({ filter, afterRevision }, { signal }),
  );
  let events = listed.events.filter((event) => (timeMs(event.time) ?? 0) >= sinceMs);
  if (limit > 0) events = events.slice(-limit);

  if (!options.follow)
    return {
      data: messageData(ListEventsResponseSchema, { ...listed, events }),
      text: (page) => (events.length === 0 ? "No events.\n" : events.map((event) => eventLine(event, page)).join("")),
    };
  return {
    documents: core.follow(async function* (client, signal) {
      yield* events.map(eventDocument);
      for await (const { item } of client.events.watchEvents({ filter, afterRevision: listed.revision }, { signal })) {
        if (item.case === "event") yield eventDocument(item.value);
        if (item.case === "lagged") {
          const missed = item.value.eventsMissed;
          yield {
            data: { lagged: messageData(LaggedSchema, item.value) },
            text: () => {
              terminal.messages.write(`${missed} events were missed: this reader was too slow\n`);
              return "";
            },
          };
        }
      }
    }),
    redraw: false,
  };
};

function eventDocument(event: Event): Document {
  return { data: messageData(EventSchema, event), text: (page) => eventLine(event, page) };
}
