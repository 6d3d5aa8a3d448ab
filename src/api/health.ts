import { type CallContext, ServerError, Status } from "nice-grpc-common";
import {
  type Health,
  type HealthCheckRequest,
  type HealthListRequest,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.ts";
import type { Implementation } from "../grpc/service-definition.ts";
import { isReady, type ServerHealth } from "../health/server-health.ts";
import { WatchPace } from "./watch-pace.ts";

const WATCH_INTERVAL_MS = 250;
/** All watchers together look 2,000 times a second at most. */
const LOOK_MS = 0.5;

/** The standard health service: "" is the server with all its pools, any other name a pool. */
export function healthService(health: () => ServerHealth, stopping: AbortSignal) {
  const statusOf = (service: string): ServingStatus | undefined => {
    const { pools, ...rest } = health();
    if (service !== "" && !Object.hasOwn(pools, service)) return undefined;
    const ready = service === "" ? isReady({ pools, ...rest }) : pools[service]!.ready;
    return ready ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  };
  const pace = new WatchPace(LOOK_MS);
  return {
    async check({ service }: HealthCheckRequest) {
      const status = statusOf(service);
      // The health protocol wants this very status for names that nobody knows.
      if (status === undefined) throw new ServerError(Status.NOT_FOUND, `there is no pool "${service}"`);
      return { status };
    },
    async list(_request: HealthListRequest) {
      const names = ["", ...Object.keys(health().pools)];
      return { statuses: Object.fromEntries(names.map((name) => [name, { status: statusOf(name)! }])) };
    },
    async *watch({ service }: HealthCheckRequest, context: CallContext) {
      let last: ServingStatus | undefined;
      for await (const _tick of pace.ticks(WATCH_INTERVAL_MS, AbortSignal.any([context.signal, stopping]))) {
        const status = statusOf(service) ?? ServingStatus.SERVICE_UNKNOWN;
        if (status === last) continue;
        last = status;
        yield { status };
      }
    },
  } satisfies Implementation<typeof Health>;
}
