import type { MiddlewareHandler } from "hono";
import type { Clock } from "../clock.ts";
import type { HttpOptions } from "../config/options.ts";
import type { Log } from "../log.ts";
import type { HttpMetrics } from "./http-metrics.ts";
import type { RequestScope } from "./request-scope.ts";

/**
 * What handlers find in the context: Node's two objects and what belongs to the request in `c.env`, and the variables
 * that a user's own middleware may set.
 */
export type FrontendEnv = {
  Bindings: RequestScope;
  Variables: {
    requestId?: string;
    /** Reach PSR-7's getAttribute. */
    attributes?: Readonly<Record<string, unknown>>;
    /** Take the place of the client's. */
    requestHeaders?: Readonly<Record<string, string>>;
    remoteAddress?: string;
  };
};

export type Middleware = MiddlewareHandler<FrontendEnv>;

/** What middleware of a frontend shares. */
export interface MiddlewareServices {
  readonly clock: Clock;
  readonly metrics: HttpMetrics;
}

/** Makes a middleware, or says why it would have nothing to do. */
export type MiddlewareFactory = (options: HttpOptions, log: Log, services: MiddlewareServices) => Middleware | string;

/** Middleware by the name it has in `http.middleware`. */
export type MiddlewareRegistry = Readonly<Record<string, MiddlewareFactory>>;

/**
 * The configured chain, outermost first. A name that is not known here is skipped with a warning, as in RoadRunner.
 *
 * @throws RrError CONFIG_INVALID: what a middleware needs is not there
 */
export async function buildMiddleware(
  registry: MiddlewareRegistry,
  load: (path: string) => Promise<Middleware>,
  options: HttpOptions,
  log: Log,
  services: MiddlewareServices,
): Promise<Middleware[]> {
  const chain: Middleware[] = [];
  for (const name of options.middleware) {
    // Paths are absolute by now, and names have no separators.
    const middleware = /[/\\]/.test(name) ? await load(name) : byName(registry, name, options, log, services);
    if (typeof middleware === "function") chain.push(middleware);
    else log.warn({ event: "http.middleware_skipped", middleware: name }, `${middleware}: requests go on without it`);
  }
  return chain;
}

function byName(
  registry: MiddlewareRegistry,
  name: string,
  options: HttpOptions,
  log: Log,
  services: MiddlewareServices,
): Middleware | string {
  const create = Object.hasOwn(registry, name) ? registry[name] : undefined;
  if (create === undefined)
    return `http.middleware names "${name}", which this server does not have (known: ${Object.keys(registry).join(", ")})`;
  const middleware = create(options, log, services);
  return typeof middleware === "string" ? `the middleware "${name}" has nothing to do: ${middleware}` : middleware;
}
