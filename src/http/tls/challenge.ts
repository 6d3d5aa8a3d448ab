import { readFile } from "node:fs/promises";
import { isToken, tokenFile } from "../../config/acme-folder.ts";
import { inTurn, type RequestHandler } from "../listener.ts";
import { RequestScope, type ScopeServices } from "../request-scope.ts";

const PREFIX = "/.well-known/acme-challenge/";

/**
 * Answers what an ACME authority asks (RFC 8555, 8.3) from the folder in which the core lays the answers. Other requests
 * go to `next`.
 */
export function challengeHandler(
  cacheDirectory: string,
  services: ScopeServices,
  next: RequestHandler,
): RequestHandler {
  return (incoming, outgoing) => {
    const { url = "/", method } = incoming;
    if (!url.startsWith(PREFIX) || (method !== "GET" && method !== "HEAD")) return next(incoming, outgoing);
    const token = url.slice(PREFIX.length);
    if (!isToken(token)) return next(incoming, outgoing);
    readFile(tokenFile(cacheDirectory, token), "latin1").then(
      (text) =>
        inTurn(outgoing, () => {
          new RequestScope(services, incoming, outgoing);
          outgoing.writeHead(200, ["Content-Type", "application/octet-stream", "Content-Length", String(text.length)]);
          outgoing.end(text, "latin1");
        }),
      () => next(incoming, outgoing),
    );
  };
}
