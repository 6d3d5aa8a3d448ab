import type { getRequestListener } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { RrError } from "../errors.ts";
import { sendErrorResponse } from "./error-response.ts";
import { Exchange, type ExchangeServices } from "./exchange.ts";
import { buildMiddleware, type FrontendEnv, MIDDLEWARE, type MiddlewareRegistry } from "./middleware.ts";
import { requestIdFor } from "./request-id.ts";

/**
 * What tells node-server that the response is somebody else's business. A plain object of the shape it looks at: with a
 * real `Response` each request takes 2 µs more, and one that was made after node-server replaced the global class would
 * be sent.
 */
const TAKEN = {
  headers: new Headers({ "x-hono-already-sent": "true" }),
  body: null,
  status: 200,
} as unknown as Response;

/**
 * The application: middleware in configured order around one handler that sends requests to the core. The handler works
 * on Node's request and response; only requests that middleware answers itself take the way of `Request` and `Response`.
 */
export function createHttpApp(
  services: ExchangeServices,
  registry: MiddlewareRegistry = MIDDLEWARE,
): Hono<FrontendEnv> {
  const app = new Hono<FrontendEnv>();
  for (const middleware of buildMiddleware(registry, services.options, services.log)) app.use(middleware);
  app.all("*", (context) => {
    const { env } = context;
    env.taken = true;
    // A pipelined request has no socket before the response to the one ahead is complete. They run one after another.
    if (env.outgoing.socket === null) env.outgoing.once("socket", () => startExchange(services, env));
    else startExchange(services, env);
    return TAKEN;
  });
  app.onError((error, context) => answerFailure(services, error, context));
  return app;
}

function startExchange(services: ExchangeServices, env: FrontendEnv["Bindings"]): void {
  new Exchange(services, env.incoming, env.outgoing, env).start();
}

/** Something in the chain threw. */
function answerFailure(services: ExchangeServices, error: Error, context: Context<FrontendEnv>): Response {
  const { incoming, outgoing } = context.env;
  services.log.error({ event: "http.handler_failed", stack: error.stack }, error.message);
  context.env.taken = true;
  if (outgoing.headersSent) outgoing.destroy();
  else sendErrorResponse(incoming, outgoing, RrError.from(error), services.options, requestIdFor(undefined));
  return TAKEN;
}

/**
 * The application as node-server calls it. Hono answers HEAD with a `Response` of its own, and middleware may wrap what
 * the handler returned: whether the response is taken care of is decided by the handler's mark alone.
 */
export function fetchCallback(app: Hono<FrontendEnv>): Parameters<typeof getRequestListener>[0] {
  return (request, bindings) => {
    // node-server makes the object for this request only: it is the handlers' to write on.
    const env = bindings as FrontendEnv["Bindings"];
    const response = app.fetch(request, env);
    if (env.taken) return TAKEN;
    return response instanceof Promise ? response.then((late) => (env.taken ? TAKEN : late)) : response;
  };
}
