import type { DispatchClient } from "../client/dispatch-stream.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { HttpOptions } from "../config/options.ts";
import type { Log } from "../log.ts";
import { createAccessLog } from "./access-log.ts";
import { createRequestHandler } from "./app.ts";
import { HttpMetrics, type HttpMetricsSnapshot } from "./http-metrics.ts";
import { type Listener, type ListenTarget, openListener, shown } from "./listener.ts";
import { loadOwnMiddleware } from "./middleware/own.ts";
import { MIDDLEWARE } from "./middleware/registry.ts";
import { buildChain, type MiddlewareRegistry } from "./middleware.ts";
import { createRouter } from "./routes.ts";
import { type FrontendCounts, FrontendStatistics } from "./statistics.ts";

export interface FrontendSettings {
  readonly options: HttpOptions;
  readonly dispatch: DispatchClient;
  readonly log: Log;
  readonly listen: ListenTarget;
  readonly clock?: Clock;
  readonly middleware?: MiddlewareRegistry;
}

/** The dispatch client stays open when it closes. */
export interface Frontend extends Listener {
  readonly stats: () => FrontendCounts;
  /** What the middleware `http_metrics` has counted. */
  readonly metrics: () => HttpMetricsSnapshot;
}

/**
 * Starts serving HTTP/1.1.
 *
 * @throws RrError FAILED_PRECONDITION: the address is in use or may not be used; CONFIG_INVALID: what a middleware needs
 * is not there
 */
export async function startFrontend(settings: FrontendSettings): Promise<Frontend> {
  const { options, log, clock = systemClock } = settings;
  const statistics = new FrontendStatistics();
  const services = {
    dispatch: settings.dispatch,
    options,
    route: createRouter(options),
    log,
    accessLog: createAccessLog(log, options.accessLogs),
    statistics,
    clock,
    writeIdleTimeoutMs: options.writeIdleTimeoutMs,
    draining: false,
  };
  const metrics = new HttpMetrics(() => clock.monotonicMs());
  const registry = settings.middleware ?? MIDDLEWARE;
  const chain = await buildChain(registry, loadOwnMiddleware, options, log, { clock, metrics });
  const { address, close } = await openListener({
    target: settings.listen,
    addressKey: "http.address",
    // Connections go to whichever frontend is quicker; an even share each keeps the sum.
    limits: { ...options, maxConnections: Math.ceil(options.maxConnections / options.frontends) },
    handle: createRequestHandler(services, chain),
    statistics,
    log,
    state: services,
  });
  log.info({ event: "http.listening", host: address.host, port: address.port }, `HTTP on ${shown(address)}`);
  return { address, stats: () => statistics.counts(), metrics: () => metrics.snapshot(), close };
}
