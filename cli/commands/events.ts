import {
  type Event,
  EventSchema,
  type Lagged,
  LaggedSchema,
  ListEventsResponseSchema,
  Severity,
} from "../../gen/roadrunner/event/v1/event_service_pb.ts";
import { RrError } from "../../src/errors.ts";
import type { Command, CoreAccess } from "../invocation.ts";
import { messageData, timeMs } from "../message-data.ts";
import type { Document } from "../output/output.ts";
import type { Terminal } from "../terminal.ts";
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

interface Filter {
  readonly pools: string[];
  readonly types: string[];
  readonly minSeverity: Severity;
}

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
  await checkPools(core, filter.pools);
  let events = listed.events.filter((event) => (timeMs(event.time) ?? 0) >= sinceMs);
  if (limit > 0) events = events.slice(-limit);

  if (!options.follow)
    return {
      data: messageData(ListEventsResponseSchema, { ...listed, events }),
      text: (page) => (events.length === 0 ? "No events.\n" : events.map((event) => eventLine(event, page)).join("")),
    };
  return {
    documents: followed(core, filter, events, listed.revision, terminal),
    redraw: false,
  };
};

/** A name that no pool has is refused: "No events." would hide the mistake. */
async function checkPools(core: CoreAccess, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const { pools } = await core.ask("listing the pools", (client, signal) => client.pools.listPools({}, { signal }));
  const known = pools.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new RrError(
      "POOL_NOT_FOUND",
      `there is no pool "${unknown}", so no event can match; the pools are: ${known.join(", ") || "none"}`,
      { metadata: { pool: unknown, known: known.join(",") } },
    );
}

/** The events that are there and those that come, over restarts of the server: each once, and what is missed is told. */
function followed(
  core: CoreAccess,
  filter: Filter,
  first: readonly Event[],
  listedRevision: bigint,
  terminal: Terminal,
): AsyncIterable<Document> {
  let shown = first;
  let afterRevision = listedRevision;
  let server: string | undefined;
  return core.follow(async function* (client, signal) {
    yield* shown.map(eventDocument);
    shown = [];
    const { processes, startTime } = await client.server.getServerInfo({}, { signal });
    const present = `${processes[0]?.pid} ${timeMs(startTime)}`;
    if (server !== undefined && server !== present) {
      // Numbers start anew with the server; what the former one did at its end is gone with it.
      terminal.messages.write("the server was started anew: its events follow from its start\n");
      afterRevision = 0n;
    }
    server = present;
    for await (const { item } of client.events.watchEvents({ filter, afterRevision }, { signal })) {
      if (item.case === "event") {
        afterRevision = item.value.revision;
        yield eventDocument(item.value);
      } else if (item.case === "lagged") yield laggedDocument(item.value, terminal);
    }
  });
}

function laggedDocument(lagged: Lagged, terminal: Terminal): Document {
  return {
    data: { lagged: messageData(LaggedSchema, lagged) },
    text: () => {
      terminal.messages.write(`${lagged.eventsMissed} events were missed: this reader was too slow\n`);
      return "";
    },
  };
}

function eventDocument(event: Event): Document {
  return { data: messageData(EventSchema, event), text: (page) => eventLine(event, page) };
}
