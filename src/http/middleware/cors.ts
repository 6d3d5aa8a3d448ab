import type { IncomingMessage } from "node:http";
import type { CorsOptions } from "../../config/options.ts";
import type { Log } from "../../log.ts";
import { headerName } from "../header-names.ts";
import type { ResponseFilter } from "../response-filter.ts";

export interface Cors {
  /** The answer to a preflight request; undefined for every other request. */
  preflight(request: IncomingMessage): { status: number; headers: string[] } | undefined;
  /** Adds what pages of other origins need to read a response. */
  readonly filter: ResponseFilter;
}

/** Names of hosts have up to 253. */
const ORIGIN_CHARS_MAX = 512;
const PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/**
 * Cross-origin resource sharing as RoadRunner does it: what is not allowed is not refused, it only gets no headers, and
 * the browser keeps the response from the page.
 */
export function createCors(options: CorsOptions, log: Log): Cors {
  const originAllowed = originRule(options);
  const allOrigins = options.allowedOriginPattern === undefined && options.allowedOrigins.includes("*");
  const methods = new Set(options.allowedMethods);
  const anyHeader = options.allowedHeaders.includes("*");
  const allowedHeaders = new Set(options.allowedHeaders.map((name) => name.toLowerCase()));
  const exposed = options.exposedHeaders.map((name) => headerName(name).canonical).join(", ");
  const methodAllowed = (method: string) => method === "OPTIONS" || methods.has(method);

  const refused = (request: IncomingMessage, why: string): false => {
    if (options.debug)
      log.debug({ event: "http.cors_refused", origin: request.headers.origin, uri: request.url }, `CORS: ${why}`);
    return false;
  };
  const allowed = (request: IncomingMessage, method: string, headers: readonly string[]): boolean => {
    const { origin } = request.headers;
    if (origin === undefined) return false;
    // What a pattern of the configuration costs is not known.
    if (origin.length > ORIGIN_CHARS_MAX) return refused(request, "the origin is too long for one");
    if (!originAllowed(origin)) return refused(request, `the origin ${origin} is not allowed`);
    if (!methodAllowed(method)) return refused(request, `the method ${method} is not allowed`);
    const header = anyHeader ? undefined : headers.find((name) => !allowedHeaders.has(name));
    return header === undefined || refused(request, `the header ${header} is not allowed`);
  };

  return {
    preflight: (request) => {
      const method = request.headers["access-control-request-method"];
      if (request.method !== "OPTIONS" || method === undefined) return undefined;
      const headers = ["Vary", PREFLIGHT_VARY, "Content-Length", "0"];
      const requested = request.headers["access-control-request-headers"];
      if (allowed(request, method, listOf(requested))) {
        headers.push("Access-Control-Allow-Origin", allOrigins ? "*" : request.headers.origin!);
        headers.push("Access-Control-Allow-Methods", method);
        if (requested !== undefined) headers.push("Access-Control-Allow-Headers", requested);
        if (options.allowCredentials) headers.push("Access-Control-Allow-Credentials", "true");
        if (options.maxAgeSeconds > 0) headers.push("Access-Control-Max-Age", String(options.maxAgeSeconds));
      }
      return { status: options.preflightStatus, headers };
    },
    filter: (head, { incoming }) => {
      head.vary("Origin");
      if (!allowed(incoming, incoming.method ?? "", [])) return undefined;
      // Two values would be none to a browser: what is configured stands, whatever the application says.
      head.set("Access-Control-Allow-Origin", allOrigins ? "*" : incoming.headers.origin!);
      if (exposed !== "") head.set("Access-Control-Expose-Headers", exposed);
      if (options.allowCredentials) head.set("Access-Control-Allow-Credentials", "true");
      return undefined;
    },
  };
}

function originRule({ allowedOrigins, allowedOriginPattern }: CorsOptions): (origin: string) => boolean {
  if (allowedOriginPattern !== undefined) {
    const pattern = new RegExp(allowedOriginPattern.source, allowedOriginPattern.flags);
    return (origin) => pattern.test(origin);
  }
  if (allowedOrigins.includes("*")) return () => true;
  const exact = new Set(allowedOrigins);
  const wildcards = allowedOrigins.filter((origin) => origin.includes("*")).map((origin) => origin.split("*"));
  return (spelling) => {
    const origin = spelling.toLowerCase();
    return (
      exact.has(origin) ||
      wildcards.some(
        ([start, end]) =>
          origin.length >= start!.length + end!.length && origin.startsWith(start!) && origin.endsWith(end!),
      )
    );
  };
}

function listOf(header: string | undefined): string[] {
  return (header ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
}
