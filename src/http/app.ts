import type { IncomingMessage, ServerResponse } from "node:http";
import type { getRequestListener } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { RrError } from "../errors.ts";
import { ALREADY_SENT, answer, countedSink, sendResponse, TAKEN } from "./answer.ts";
import { sendErrorResponse } from "./error-response.ts";
import { Exchange, type ExchangeServices } from "./exchange.ts";
import type { FrontendEnv, Middleware } from "./middleware.ts";
import { RequestScope } from "./request-scope.ts";

/**
 * The application: middleware in configured order around one handler that sends requests to the core. The handler works
 * on Node's request and response; only requests that middleware answers itself take the way of `Request` and `Response`.
 */
export function createHttpApp(services: ExchangeServices, middleware: readonly Middleware[]): Hono<FrontendEnv> {
  const app = new Hono<FrontendEnv>();
  for (const one of middleware) app.use(one);
  app.all("*", (context) => answer(context, (sink) => new Exchange(services, context.env, sink).start()));
  app.onError((error, context) => answerFailure(services, error, context));
  return app;
}

/** Something in the chain threw. */
function answerFailure(
  services: ExchangeServices,
  error: Error,
  context: Context<FrontendEnv>,
): Response | Promise<Response> {
  const { log, options } = services;
  const { incoming, outgoing, requestId } = context.env;
  context.env.failure = RrError.from(error).reason;
  // Middleware that waited for the response of a client that left finds none.
  if (outgoing.destroyed) log.debug({ event: "http.handler_failed" }, error.message);
  else log.error({ event: "http.handler_failed", request_id: requestId, stack: error.stack }, error.message);
  if (outgoing.headersSent || outgoing.destroyed) {
    outgoing.destroy();
    context.env.taken = true;
    return TAKEN;
  }
  return answer(context, (sink) =>
    sendErrorResponse(incoming, outgoing, sink, RrError.from(error), options, requestId),
  );
}

/**
 * The application as node-server calls it. Hono answers HEAD with a `Response` of its own, and middleware may wrap what
 * the handler returned: whether the response is taken care of is decided by the handler's mark alone. All others are
 * written here, through the filters that they met.
 */
export function fetchCallback(
  app: Hono<FrontendEnv>,
  services: ExchangeServices,
): Parameters<typeof getRequestListener>[0] {
  return (request, { incoming, outgoing }) => {
    const scope = new RequestScope(services, incoming as IncomingMessage, outgoing as ServerResponse);
    const response = app.fetch(request, scope);
    if (scope.taken) return TAKEN;
    return response instanceof Promise ? response.then((late) => send(scope, late)) : send(scope, response);
  };
}

function send(scope: RequestScope, response: Response): Response {
  if (scope.taken || response.headers.has(ALREADY_SENT)) return TAKEN;
  scope.taken = true;
  void sendResponse(scope, response, countedSink(scope));
  return TAKEN;
}
