import type { MiddlewareHandler } from "hono";
import type { HttpOptions } from "../config/options.ts";
import type { Log } from "../log.ts";
import type { RequestScope } from "./request-scope.ts";

/**
 * What handlers find in the context: Node's two objects and what belongs to the request in `c.env`, and the variables
 * that a user's own middleware may set.
 */
export type FrontendEnv = {
  Bindings: RequestScope;
  Variables: {
    requestId?: string;
    attributes?: Readonly<Record<string, unknown>>;
    requestHeaders?: Readonly<Record<string, string>>;
    remoteAddress?: string;
  };
};

export type Middleware = MiddlewareHandler<FrontendEnv>;

/** Middleware by the name it has in `http.middleware`. Undefined: nothing is configured for it to do. */
export type MiddlewareRegistry = Readonly<Record<string, (options: HttpOptions, log: Log) => Middleware | undefined>>;

/** The configured chain, outermost first. A name that is not known here is skipped with a warning, as in RoadRunner. */
export function buildMiddleware(registry: MiddlewareRegistry, options: HttpOptions, log: Log): Middleware[] {
  return options.middleware.flatMap((name) => {
    const create = Object.hasOwn(registry, name) ? registry[name] : undefined;
    if (create !== undefined) return create(options, log) ?? [];
    const known = Object.keys(registry).join(", ") || "none yet";
    log.warn(
      { event: "http.middleware_unknown", middleware: name },
      `http.middleware names "${name}", which this server does not have (known: ${known}): requests go on without it`,
    );
    return [];
  });
}
