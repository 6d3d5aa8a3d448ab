import type { HttpOptions } from "../../config/options.ts";
import type { Log } from "../../log.ts";
import { addFilter } from "../answer.ts";
import type { MiddlewareServices, Step } from "../middleware.ts";
import type { ResponseFilter } from "../response-filter.ts";

/** `http_metrics`: counts and times requests under RoadRunner's names. */
export function createHttpMetrics(_options: HttpOptions, _log: Log, { metrics, clock }: MiddlewareServices): Step {
  const filter: ResponseFilter = (head) => {
    if (head.has("no-workers")) metrics.noFreeWorker();
    return undefined;
  };
  return (scope) => {
    const { outgoing } = scope;
    const startedMs = clock.monotonicMs();
    metrics.requestStarted();
    outgoing.once("close", () => {
      // 499 as in access logs: the client did not wait for the head.
      const status = outgoing.headersSent ? outgoing.statusCode : 499;
      metrics.requestFinished(status, (clock.monotonicMs() - startedMs) / 1000);
    });
    addFilter(scope, filter);
    return undefined;
  };
}
