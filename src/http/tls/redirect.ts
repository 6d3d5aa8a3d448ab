import { refuseBadHead } from "../head-rules.ts";
import type { RequestHandler } from "../listener.ts";
import { inTurn } from "../listener.ts";
import { RequestScope, type ScopeServices } from "../request-scope.ts";
import type { ResponseFilter } from "../response-filter.ts";

const PERMANENT_REDIRECT = 308;
const STRICT_TRANSPORT = "max-age=31536000; includeSubDomains; preload";

/** Tells browsers to come with TLS from now on, unless the application says something about it itself. */
export const strictTransport: ResponseFilter = (head) => {
  if (!head.has("strict-transport-security")) head.append("Strict-Transport-Security", STRICT_TRANSPORT);
  return undefined;
};

/** Sends every request to the same path with TLS. */
export function redirectHandler(
  services: ScopeServices,
  tlsPort: () => number,
  headersMax = Number.POSITIVE_INFINITY,
): RequestHandler {
  return (incoming, outgoing) =>
    inTurn(outgoing, () => {
      new RequestScope(services, incoming, outgoing);
      if (refuseBadHead(incoming, outgoing, headersMax)) return;
      const location = tlsLocation(incoming.headers.host, incoming.url ?? "/", tlsPort());
      // A body would have to be read before the next request: it is sent again anyway.
      if (!incoming.complete) outgoing.shouldKeepAlive = false;
      if (location === undefined) outgoing.writeHead(400, ["Content-Length", "0"]);
      else outgoing.writeHead(PERMANENT_REDIRECT, ["Location", location, "Content-Length", "0"]);
      outgoing.end();
      incoming.resume();
    });
}

/** Undefined if the request does not say which host it is for. */
export function tlsLocation(host: string | undefined, target: string, port: number): string | undefined {
  const name = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d*)?$/i.exec(host ?? "")?.[1];
  if (name === undefined) return undefined;
  const path = target.startsWith("/") ? target : target.replace(/^https?:\/\/[^/?]*/i, "");
  return `https://${name}${port === 443 ? "" : `:${port}`}${path.startsWith("/") ? path : `/${path === "*" ? "" : path}`}`;
}
