import type { HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";
import type { HttpOptions } from "../config/options.ts";
import type { Log } from "../log.ts";
import type { RequestAdditions } from "./exchange.ts";

/** What handlers find in `c.env`: Node's two objects, what middleware adds, and whether the response is taken care of. */
export type FrontendEnv = { Bindings: HttpBindings & RequestAdditions & { taken?: boolean } };

export type Middleware = MiddlewareHandler<FrontendEnv>;

/** Middleware by the name it has in `http.middleware`. */
export type MiddlewareRegistry = Readonly<Record<string, (options: HttpOptions, log: Log) => Middleware>>;

export const MIDDLEWARE: MiddlewareRegistry = {};

/** The configured chain, outermost first. A name that is not known here is skipped with a warning, as in RoadRunner. */
export function buildMiddleware(registry: MiddlewareRegistry, options: HttpOptions, log: Log): Middleware[] {
  return options.middleware.flatMap((name) => {
    const create = Object.hasOwn(registry, name) ? registry[name] : undefined;
    if (create !== undefined) return [create(options, log)];
    const known = Object.keys(registry).join(", ") || "none yet";
    log.warn(
      { event: "http.middleware_unknown", middleware: name },
      `http.middleware names "${name}", which this server does not have (known: ${known}): requests go on without it`,
    );
    return [];
  });
}
