import type { DispatchClient } from "../client/dispatch-client.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { HttpOptions } from "../config/options.ts";
import type { Log } from "../log.ts";
import { createAccessLog } from "./access-log.ts";
import { createRequestHandler } from "./app.ts";
import { BodyMemory } from "./body-memory.ts";
import { BrowserReload } from "./browser-reload/browser-reload.ts";
import type { ReloadEvents } from "./browser-reload/reload-watch.ts";
import { openFastCgiListener } from "./fastcgi/fastcgi-listener.ts";
import { HttpMetrics, type HttpMetricsSnapshot } from "./http-metrics.ts";
import { asStreamHandler, type Listener, type ListenTarget, openListener, shown } from "./listener.ts";
import { loadOwnMiddleware } from "./middleware/own.ts";
import { MIDDLEWARE } from "./middleware/registry.ts";
import { buildChain, type MiddlewareRegistry } from "./middleware.ts";
import { createRouter } from "./routes.ts";
import { type FrontendCounts, FrontendStatistics } from "./statistics.ts";
import { challengeHandler } from "./tls/challenge.ts";
import { redirectHandler, strictTransport } from "./tls/redirect.ts";
import { ServerCertificate } from "./tls/server-certificate.ts";

export interface FrontendSettings {
  readonly options: HttpOptions;
  readonly dispatch: DispatchClient;
  readonly log: Log;
  /** Undefined: no plain HTTP. */
  readonly listen: ListenTarget | undefined;
  readonly tlsListen?: ListenTarget | undefined;
  readonly fastCgiListen?: ListenTarget | undefined;
  readonly clock?: Clock;
  readonly middleware?: MiddlewareRegistry;
  /** Where `browserReload` hears of reloads: the events of each core. */
  readonly reloadEvents?: readonly ReloadEvents[];
}

/** The dispatch client stays open when it closes. `address` is that of plain HTTP, or of the first listener that there is. */
export interface Frontend extends Listener {
  readonly addresses: readonly Listener["address"][];
  readonly stats: () => FrontendCounts;
  /** What the middleware `http_metrics` has counted. */
  readonly metrics: () => HttpMetricsSnapshot;
}

/**
 * Starts serving: HTTP, HTTPS and FastCGI, as far as there are addresses for them.
 *
 * @throws RrError FAILED_PRECONDITION: the address is in use or may not be used; CONFIG_INVALID: what a middleware needs
 * is not there
 */
export async function startFrontend(settings: FrontendSettings): Promise<Frontend> {
  const { options, log, clock = systemClock } = settings;
  const statistics = new FrontendStatistics();
  const browserReload =
    options.browserReload && new BrowserReload(options.browserReload, settings.reloadEvents ?? [], log);
  const bodyMemory = new BodyMemory({ spool: options.spool, log, clock });
  const services = {
    browserReload,
    bodyMemory,
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
  const { http2, tls } = options;
  const listeners: Listener[] = [];
  // Connections go to whichever frontend is quicker; an even share each keeps the sum.
  const limits = { ...options, maxConnections: Math.ceil(options.maxConnections / options.frontends) };
  const common = { limits, statistics, log, state: services };
  const plainHandler = createRequestHandler(services, chain);
  let address = { host: "", port: 0 };
  const opened = (listener: Listener, name: string) => {
    listeners.push(listener);
    const { host, port } = listener.address;
    log.info({ event: "http.listening", host, port }, `${name} on ${shown(listener.address)}`);
    return listener.address;
  };
  try {
    let tlsPort = 0;
    if (settings.tlsListen !== undefined && tls !== undefined) {
      const handle = tls.redirect ? createRequestHandler(services, chain, strictTransport) : plainHandler;
      const certificate = new ServerCertificate(tls, log);
      const { tlsListen: target } = settings;
      const addressKey = "http.ssl.address";
      ({ port: tlsPort } = opened(
        await openListener({ ...common, target, addressKey, handle, http2, certificate }),
        "HTTPS",
      ));
    }
    if (settings.fastCgiListen !== undefined) {
      const handle = asStreamHandler(plainHandler);
      const target = settings.fastCgiListen;
      opened(await openFastCgiListener({ target, limits, handle, statistics, log }), "FastCGI");
    }
    if (settings.listen !== undefined) {
      const redirected = tls?.redirect ? redirectHandler(services, () => tlsPort, options.headersMax) : plainHandler;
      const handle =
        tls?.acme === undefined ? redirected : challengeHandler(tls.acme.cacheDirectory, services, redirected);
      const { listen: target } = settings;
      const addressKey = "http.address";
      address = opened(
        await openListener({ ...common, target, addressKey, handle, http2: http2.h2c ? http2 : undefined }),
        "HTTP",
      );
    }
  } catch (thrown) {
    browserReload?.close();
    await Promise.all(listeners.map((listener) => listener.close(0)));
    throw thrown;
  }
  const close = async (deadlineMs: number): Promise<void> => {
    browserReload?.close();
    await Promise.all(listeners.map((listener) => listener.close(deadlineMs)));
    await bodyMemory.close();
  };
  const [first] = listeners;
  if (settings.listen === undefined && first !== undefined) ({ address } = first);
  return {
    address,
    addresses: listeners.map((listener) => listener.address),
    stats: () => statistics.counts(),
    metrics: () => metrics.snapshot(),
    close,
  };
}
