import type { Context } from "hono";
import { drained } from "./end-response.ts";
import { FilteredResponse } from "./filtered-response.ts";
import { headerName } from "./header-names.ts";
import { ALREADY_SENT, LateResponse, lateResponseOf } from "./late-response.ts";
import type { FrontendEnv } from "./middleware.ts";
import type { RequestScope } from "./request-scope.ts";
import { HeadDraft, type ResponseFilter, type ResponseSink } from "./response-filter.ts";

/**
 * What tells node-server that the response is somebody else's business. A plain object of the shape it looks at: with a
 * real `Response` each request takes 2 µs more, and one that was made after node-server replaced the global class would
 * be sent.
 */
export const TAKEN = {
  headers: new Headers({ [ALREADY_SENT]: "true" }),
  body: null,
  status: 200,
} as unknown as Response;

/**
 * Answers a request by writing to a sink: the one way out for PHP's responses, files and errors. What this returns is
 * what the handler is to return. Without middleware the sink is Node's response; middleware that wants to see the
 * response on its way back makes it a `Response` first.
 */
export function answer(
  context: Context<FrontendEnv>,
  write: (sink: ResponseSink) => void,
): Response | Promise<Response> {
  const scope = context.env;
  if (scope.observers > 0) {
    const late = new LateResponse(scope, (body, init) => context.newResponse(body, init as never));
    scope.late = late;
    write(late);
    return late.response;
  }
  scope.taken = true;
  write(responseSink(scope));
  return TAKEN;
}

/** Lets a filter see the response, if one comes: before those that were added earlier. */
export function addFilter(scope: RequestScope, filter: ResponseFilter): undefined {
  if (scope.filters === undefined) scope.filters = [filter];
  else scope.filters.push(filter);
}

/** Where the response of a request leaves the chain. To be asked for once, when all filters are there. */
export function responseSink(scope: RequestScope): ResponseSink {
  const { filters, outgoing } = scope;
  if (scope.services.draining) outgoing.shouldKeepAlive = false;
  return withInnermost(scope, filters === undefined ? outgoing : new FilteredResponse(scope, filters, outgoing));
}

/** What sees every response first stands before all filters, and is a writer of its own: both may change the body. */
function withInnermost(scope: RequestScope, sink: ResponseSink): ResponseSink {
  return scope.innermost === undefined ? sink : new FilteredResponse(scope, [scope.innermost], sink);
}

/** The same for a response whose bytes nobody else counts. */
export function countedSink(scope: RequestScope): ResponseSink {
  scope.filters ??= [];
  return responseSink(scope);
}

/**
 * Lets middleware see the response of what comes after it: `handle` is called with a `next` after which the response is
 * there, changed by the filters that the request met in between.
 */
export async function observe(
  context: Context<FrontendEnv>,
  next: () => Promise<void>,
  handle: (next: () => Promise<void>) => Promise<Response | void>,
): Promise<Response | void> {
  const scope = context.env;
  scope.filters ??= [];
  const { filters } = scope;
  const outer = filters.length;
  scope.observers++;
  return handle(async () => {
    await next();
    const inner = filters.splice(outer);
    if (inner.length === 0) return;
    const late = new LateResponse(scope, (body, init) => new Response(body, init));
    void sendResponse(scope, context.res, withInnermost(scope, new FilteredResponse(scope, inner, late)));
    scope.late = late;
    const response = await late.response;
    // Hono would add the headers of the response that is there to those of the new one.
    context.res = undefined;
    context.res = response;
  });
}

/** Writes a response that was made as an object. */
export async function sendResponse(scope: RequestScope, response: Response, sink: ResponseSink): Promise<void> {
  const { incoming, outgoing } = scope;
  const { status } = response;
  const bodiless = incoming.method === "HEAD" || status === 204 || status === 304;
  const body = bodiless ? null : response.body;
  const late = lateResponseOf(body);
  const headers = headersOf(response, outgoing, scope.late?.headers ?? []);
  // Middleware that put another body in its place seldom thinks of the length.
  if (body !== null && late === undefined && scope.late !== undefined) headers.remove("content-length");
  if (late !== scope.late && scope.late?.unused) scope.late.drop();
  try {
    if (body !== null && late === undefined) return await sendStream(scope, body, status, headers, sink);
    sink.writeHead(status, headers.headers);
    if (late !== undefined) late.connect(sink);
    else sink.end();
  } catch (thrown) {
    outgoing.destroy(thrown as Error);
  }
}

/**
 * A `Response` has its headers sorted, and one value of each name. What nobody has changed goes out as it was written:
 * in that order, and as often.
 *
 * @param written name, value, ... as they were before somebody saw the response
 */
function headersOf({ headers }: Response, outgoing: RequestScope["outgoing"], written: readonly string[]): HeadDraft {
  const list = new HeadDraft(0, []);
  const append = (canonical: string, value: string) => {
    if (canonical === "Connection" && /\bclose\b/i.test(value)) outgoing.shouldKeepAlive = false;
    // What concerns one connection is the server's business.
    if (!CONNECTION_HEADERS.has(canonical)) list.append(canonical, value);
  };
  const unchanged = unchangedNames(headers, written);
  for (let at = 0; at < written.length; at += 2) {
    const { canonical } = headerName(written[at]!);
    if (unchanged.has(canonical)) append(canonical, written[at + 1]!);
  }
  for (const [name, value] of headers) {
    const { canonical } = headerName(name);
    if (!unchanged.has(canonical)) append(canonical, value);
  }
  return list;
}

function unchangedNames(headers: Headers, written: readonly string[]): ReadonlySet<string> {
  const before = new Headers();
  for (let at = 0; at < written.length; at += 2) before.append(written[at]!, written[at + 1]!);
  const unchanged = new Set<string>();
  for (const name of new Set(before.keys())) {
    const isSame =
      name === "set-cookie"
        ? String(headers.getSetCookie()) === String(before.getSetCookie())
        : headers.get(name) === before.get(name) || (name === ALREADY_SENT && !headers.has(name));
    if (isSame) unchanged.add(headerName(name).canonical);
  }
  return unchanged;
}

const CONNECTION_HEADERS: ReadonlySet<string> = new Set(["Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade"]);

async function sendStream(
  scope: RequestScope,
  body: ReadableStream<Uint8Array>,
  status: number,
  headers: HeadDraft,
  sink: ResponseSink,
): Promise<void> {
  const reader = body.getReader();
  const cancel = () => void reader.cancel().catch(() => undefined);
  scope.outgoing.once("close", cancel);
  try {
    const first = await reader.read();
    const rest = first.done ? undefined : reader.read();
    // The end of a body that is there as a whole follows at once; a stream must not wait for its next piece.
    const isWhole = rest === undefined || (await Promise.race([rest.then(({ done }) => done), tick()]));
    const data = first.value ?? new Uint8Array(0);
    if (isWhole) {
      headers.set("Content-Length", String(data.length));
      sink.writeHead(status, headers.headers);
      return void sink.end(data);
    }
    sink.writeHead(status, headers.headers);
    let room = sink.write(data);
    for (let piece = await rest!; !piece.done; piece = await reader.read()) {
      if (!room) await drained(sink, scope);
      room = sink.write(piece.value);
    }
    if (scope.late !== undefined && scope.late.trailers.length > 0) sink.addTrailers([...scope.late.trailers]);
    sink.end();
  } finally {
    scope.outgoing.off("close", cancel);
  }
}

function tick(): Promise<false> {
  return new Promise((resolve) => setImmediate(resolve, false));
}
