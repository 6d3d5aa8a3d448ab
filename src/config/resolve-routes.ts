import type { Http, HttpRoute } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { nearest } from "./nearest.ts";
import type { HttpOptions, PoolOptions, RouteOptions } from "./options.ts";
import type { ResolutionContext } from "./resolution.ts";

/** `http.routes`; `codecOf` tells the context codec of a pool. */
export function resolveRoutes(
  { routes, maxRequestSize }: Http,
  pools: readonly PoolOptions[],
  codecOf: (pool: PoolOptions) => HttpOptions["contextCodec"],
  context: ResolutionContext,
): RouteOptions[] {
  const seen = new Map<string, number>();
  return routes.flatMap((route, index) => {
    const path = `http.routes.${index}`;
    const pool = poolOf(route, path, pools, context);
    if (pool === undefined) return [];
    const resolved: RouteOptions = {
      path: route.path || undefined,
      host: route.host?.toLowerCase() || undefined,
      methods: route.methods.map((method) => method.toUpperCase()),
      headers: Object.fromEntries(Object.entries(route.headers).map(([name, value]) => [name.toLowerCase(), value])),
      pool: pool.name,
      contextCodec: codecOf(pool),
      debug: pool.debug,
      maxRequestBytes: Number(route.maxRequestSize ?? maxRequestSize),
    };
    if (resolved.path !== undefined && !/^[/*]/.test(resolved.path))
      context.report(`${path}.path`, `expected a path such as /reports/*, got ${JSON.stringify(resolved.path)}`);
    const { host, methods, headers } = resolved;
    const condition = JSON.stringify([resolved.path, host, methods, headers]);
    const earlier = seen.get(condition);
    if (earlier === undefined) seen.set(condition, index);
    else
      context.report(
        path,
        `http.routes.${earlier} has the same conditions and comes first: this one never counts`,
        "warning",
      );
    return [resolved];
  });
}

function poolOf(
  { pool: name }: HttpRoute,
  path: string,
  pools: readonly PoolOptions[],
  { report }: ResolutionContext,
): PoolOptions | undefined {
  // That it is missing has been said.
  if (!name) return undefined;
  const found = pools.find((pool) => pool.name === name);
  if (found) return found;
  const known = pools.map((pool) => pool.name);
  const guess = nearest(name, known);
  const hint = guess === undefined ? `known: ${known.join(", ")}` : `did you mean "${guess}"?`;
  report(`${path}.pool`, `there is no pool "${name}" in pools; ${hint}`);
  return undefined;
}
