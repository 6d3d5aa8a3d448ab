import type { CallContext } from "nice-grpc-common";
import type {
  EventFilter,
  EventService,
  ListEventsRequest,
  WatchEventsRequest,
} from "../../gen/roadrunner/event/v1/event_service_pb.ts";
import { RrError } from "../errors.ts";
import { EVENT_TYPES, type EventLog, type RecordedEvent } from "../events/event-log.ts";
import type { Implementation } from "../grpc/service-definition.ts";
import { callerOf } from "./caller.ts";
import { SEVERITY, toEvent } from "./convert.ts";

/** Events that wait for a slow reader; beyond this it is told how many it missed. */
const BUFFERED_EVENTS_MAX = 1_000;

export function eventService(events: EventLog, stopping: AbortSignal) {
  return {
    async listEvents({ filter, afterRevision, limit }: ListEventsRequest, context: CallContext) {
      const kept = afterRevision === 0n ? events.all() : since(events, afterRevision);
      const matching = kept.filter(visible(matcher(filter), context));
      return {
        events: (limit > 0 ? matching.slice(-limit) : matching).map(toEvent),
        revision: BigInt(events.revision),
      };
    },
    async *watchEvents({ filter, afterRevision }: WatchEventsRequest, context: CallContext) {
      const matches = visible(matcher(filter), context);
      const watch = new BufferedWatch(events, matches);
      const signal = AbortSignal.any([context.signal, stopping]);
      const wake = () => watch.wake();
      signal.addEventListener("abort", wake);
      try {
        // Watching first and reading then: nothing falls between. What comes meanwhile is newer than what is read.
        const revision = events.revision;
        const missed = afterRevision === undefined ? [] : since(events, afterRevision).filter(matches);
        yield { item: { case: "started" as const, value: { revision: BigInt(revision) } } };
        for (const event of missed) yield { item: { case: "event" as const, value: toEvent(event) } };
        while (!signal.aborted) {
          const { batch, missedCount } = await watch.next();
          for (const event of batch) yield { item: { case: "event" as const, value: toEvent(event) } };
          // Those that found no place came after these.
          if (missedCount > 0)
            yield { item: { case: "lagged" as const, value: { eventsMissed: BigInt(missedCount) } } };
        }
      } finally {
        signal.removeEventListener("abort", wake);
        watch.close();
      }
    },
  } satisfies Implementation<typeof EventService>;
}

/** Frontends tell browsers of reloads; what else happens is none of their business. */
function visible(matches: EventMatcher, context: CallContext): EventMatcher {
  if (callerOf(context).role !== "frontend") return matches;
  return (event) => event.type.startsWith("reload.") && matches(event);
}

function since(events: EventLog, revision: bigint): RecordedEvent[] {
  const kept = events.since(Number(revision));
  if (kept) return kept;
  throw new RrError(
    "REVISION_COMPACTED",
    `events after revision ${revision} are no longer kept; none is missing from ${events.completeFrom} on: list them and watch from there`,
    {
      metadata: { oldest_revision: events.completeFrom },
    },
  );
}

class BufferedWatch {
  #buffer: RecordedEvent[] = [];
  #missedCount = 0;
  #wake: (() => void) | undefined;
  readonly #stop: () => void;

  constructor(events: EventLog, matches: (event: RecordedEvent) => boolean) {
    this.#stop = events.watch((event) => {
      if (!matches(event)) return;
      if (this.#buffer.length < BUFFERED_EVENTS_MAX) this.#buffer.push(event);
      else this.#missedCount++;
      this.wake();
    });
  }

  /** What has come since the last time; waits for something, or for `wake`. */
  async next(): Promise<{ batch: RecordedEvent[]; missedCount: number }> {
    if (this.#buffer.length === 0)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const taken = { batch: this.#buffer, missedCount: this.#missedCount };
    this.#buffer = [];
    this.#missedCount = 0;
    return taken;
  }

  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  close(): void {
    this.#stop();
  }
}

type EventMatcher = (event: RecordedEvent) => boolean;

function typeMatcher(type: string, field: string): (name: string) => boolean {
  const matches = type.endsWith("*")
    ? (name: string) => name.startsWith(type.slice(0, -1))
    : (name: string) => name === type;
  if (Object.keys(EVENT_TYPES).some(matches)) return matches;
  const description = `no type of event is "${type}", so nothing could ever match; docs/events.md lists all, "worker.*" stands for several`;
  throw new RrError("INVALID_REQUEST", description, { violations: [{ field, description }] });
}

/** Whether an event passes a filter. Throws INVALID_REQUEST for a type that no event has. */
export function matcher(filter: EventFilter | undefined): EventMatcher {
  if (!filter) return () => true;
  const types = filter.types.map((type, index) => typeMatcher(type, `filter.types[${index}]`));
  return (event) =>
    (filter.pools.length === 0 || filter.pools.includes(event.pool)) &&
    (types.length === 0 || types.some((matches) => matches(event.type))) &&
    SEVERITY[event.severity] >= filter.minSeverity;
}
