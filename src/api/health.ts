import { type CallContext, ServerError, Status } from "nice-grpc-common";
import {
  type Health,
  type HealthCheckRequest,
  type HealthListRequest,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Implementation } from "../grpc/service-definition.ts";
import { atIntervals } from "./intervals.ts";

const WATCH_INTERVAL_MS = 250;

/** The standard health service: "" is the server, any other name a pool. */
export function healthService(dispatcher: Dispatcher, serving: () => boolean, stopping: AbortSignal) {
  const statusOf = (service: string): ServingStatus | undefined => {
    if (service === "") return serving() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    const pool = dispatcher.pools.find(({ name }) => name === service);
    if (!pool) return undefined;
    return serving() && pool.state === "serving" ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  };
  return {
    async check({ service }: HealthCheckRequest) {
      const status = statusOf(service);
      // The health protocol wants this very status for names that nobody knows.
      if (status === undefined) throw new ServerError(Status.NOT_FOUND, `there is no pool "${service}"`);
      return { status };
    },
    async list(_request: HealthListRequest) {
      const names = ["", ...dispatcher.pools.map(({ name }) => name)];
      return { statuses: Object.fromEntries(names.map((name) => [name, { status: statusOf(name)! }])) };
    },
    async *watch({ service }: HealthCheckRequest, context: CallContext) {
      let last: ServingStatus | undefined;
      for await (const _tick of atIntervals(WATCH_INTERVAL_MS, AbortSignal.any([context.signal, stopping]))) {
        const status = statusOf(service) ?? ServingStatus.SERVICE_UNKNOWN;
        if (status === last) continue;
        last = status;
        yield { status };
      }
    },
  } satisfies Implementation<typeof Health>;
}
