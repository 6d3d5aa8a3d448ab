import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { RrError } from "../errors.ts";
import { oneLine } from "./access-log.ts";
import { answer, countedSink, responseSink, sendResponse, TAKEN } from "./answer.ts";
import { BodyCapture } from "./body-capture.ts";
import { errorStatus, sendErrorResponse } from "./error-response.ts";
import { Exchange, type ExchangeServices } from "./exchange.ts";
import { sendBodiless } from "./files/send-file.ts";
import { type HeadProblem, headProblem } from "./head-rules.ts";
import { ALREADY_SENT } from "./late-response.ts";
import { inTurn } from "./listener.ts";
import { type Answer, type Chain, type FrontendEnv, type Middleware, runSteps, type Step } from "./middleware.ts";
import { normalHost, normalTarget } from "./request-fields.ts";
import { RequestScope } from "./request-scope.ts";
import type { ResponseFilter } from "./response-filter.ts";
import { StreamRequest } from "./stream-request.ts";

/**
 * What answers requests: the chain in configured order around one handler that sends requests to the core. Steps and the
 * handler work on Node's request and response; only a user's own middleware sees `Request` and `Response`.
 *
 * @param outermost sees every response last
 */
export function createRequestHandler(
  services: ExchangeServices,
  chain: Chain,
  outermost?: ResponseFilter,
): (incoming: IncomingMessage, outgoing: ServerResponse) => void {
  const onward = chain.inner.length === 0 ? directly(services) : throughHono(services, chain.inner);
  const { headersMax } = services.options;
  const { browserReload } = services;
  const handle = (incoming: IncomingMessage, outgoing: ServerResponse, capture: BodyCapture | undefined) => {
    if (browserReload?.serve(incoming, outgoing)) return;
    const scope = new RequestScope(services, incoming, outgoing);
    if (browserReload !== undefined) scope.innermost = browserReload.filter();
    scope.capture = capture;
    if (outermost !== undefined) scope.filters = [outermost];
    const problem = headProblem(incoming, headersMax);
    if (problem !== undefined) return refuse(scope, problem, services.options);
    // The server is meant, not an application: Go's answers alike.
    if (incoming.url === "*") return sendBodiless(responseSink(scope), 200, []);
    if (chain.steps.length === 0) return onward(scope);
    const answered = (write: Answer) => write(responseSink(scope));
    const failed = (error: Error) => failureAnswer(services, scope, error)?.(responseSink(scope));
    runSteps(chain.steps, scope, () => onward(scope), answered, failed);
  };
  const mayReadBodies = chain.inner.length > 0;
  return (incoming, outgoing) => {
    const capture =
      mayReadBodies && hasBody(incoming)
        ? new BodyCapture(incoming, outgoing, services.options.maxRequestBytes)
        : undefined;
    inTurn(outgoing, () => {
      try {
        handle(incoming, outgoing, capture);
      } catch (thrown) {
        // Called by the server, out of the reach of anybody: a bug ends this request, not the process.
        const { message, stack } = thrown as Error;
        services.log.error({ event: "http.handler_failed", uri: oneLine(incoming.url ?? ""), stack }, message);
        outgoing.destroy();
      }
    });
  };
}

/** Without middleware of a user's own nobody needs Hono's objects: they would cost a tenth of the time. */
function directly(services: ExchangeServices): (scope: RequestScope) => void {
  return (scope) => {
    scope.taken = true;
    try {
      new Exchange(services, scope, responseSink(scope)).start();
    } catch (thrown) {
      failureAnswer(services, scope, thrown as Error)?.(responseSink(scope));
    }
  };
}

function throughHono(services: ExchangeServices, chain: Chain["inner"]): (scope: RequestScope) => void {
  const app = createApp(services, chain);
  // node-server calls back before it returns, with the two objects that it was given: the scope need not be looked for.
  let entering: RequestScope | undefined;
  const listener = getRequestListener(
    (request) => {
      const scope = entering!;
      const response = app.fetch(request, scope);
      if (scope.taken) return TAKEN;
      return response instanceof Promise ? response.then((late) => send(scope, late)) : send(scope, response);
    },
    { hostname: "localhost" },
  );
  return (scope) => {
    const { incoming, outgoing } = scope;
    // node-server would refuse other spellings of the same.
    if (incoming.headers.host?.endsWith(":")) incoming.headers.host = normalHost(incoming.headers.host);
    if (incoming.url?.startsWith("/") === false) incoming.url = normalTarget(incoming.url);
    entering = scope;
    void listener(incoming, outgoing);
  };
}

/** The connection ends: what follows on it may be a part of what was refused. */
function refuse(scope: RequestScope, { status, message }: HeadProblem, options: ExchangeServices["options"]): void {
  const { incoming, outgoing, requestId } = scope;
  const error = new RrError("INVALID_REQUEST", message);
  scope.failure = error.reason;
  outgoing.shouldKeepAlive = false;
  sendErrorResponse(incoming, outgoing, responseSink(scope), error, options, requestId, { status });
}

function hasBody(incoming: IncomingMessage): boolean {
  if ((incoming as unknown) instanceof StreamRequest) return (incoming as unknown as StreamRequest).hasBody;
  const { headers } = incoming;
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function createApp(services: ExchangeServices, chain: Chain["inner"]): Hono<FrontendEnv> {
  const app = new Hono<FrontendEnv>();
  for (const part of chain) app.use("own" in part ? part.own : stepMiddleware(part.step));
  app.all("*", (context) => answer(context, (sink) => new Exchange(services, context.env, sink).start()));
  app.onError((error, context) => {
    const write = failureAnswer(services, context.env, error);
    if (write !== undefined) return answer(context, write);
    context.env.taken = true;
    return TAKEN;
  });
  return app;
}

/** A step behind a user's own middleware. */
function stepMiddleware(step: Step): Middleware {
  return async (context, next) => {
    const write = await step(context.env);
    if (write !== undefined) return answer(context, write);
    await next();
  };
}

/** Something in the chain threw. No answer if there is nobody to get it, or no way. */
function failureAnswer(services: ExchangeServices, scope: RequestScope, thrown: Error): Answer | undefined {
  const { log, options } = services;
  const { incoming, outgoing, requestId } = scope;
  const error = RrError.from(thrown);
  scope.failure = error.reason;
  // Middleware that waited for the response of a client that left finds none, and what a client did wrong is no event.
  const isHarmless = outgoing.destroyed || errorStatus(error, options.internalErrorCode) < 500;
  if (isHarmless) log.debug({ event: "http.handler_failed", request_id: requestId }, error.message);
  else log.error({ event: "http.handler_failed", request_id: requestId, stack: thrown.stack }, error.message);
  if (!outgoing.headersSent && !outgoing.destroyed)
    return (sink) => sendErrorResponse(incoming, outgoing, sink, error, options, requestId);
  outgoing.destroy();
  return undefined;
}

/**
 * Sends what came out of Hono, through the filters that the request met. Hono answers HEAD with a `Response` of its own,
 * and middleware may wrap what the handler returned: whether the response is taken care of already is decided by the
 * mark alone.
 */
function send(scope: RequestScope, response: Response): Response {
  if (scope.taken || response.headers.has(ALREADY_SENT)) return TAKEN;
  scope.taken = true;
  void sendResponse(scope, response, countedSink(scope));
  return TAKEN;
}
