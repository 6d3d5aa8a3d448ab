import type { IncomingHttpHeaders } from "node:http";

/** What a file's responses are compared by. */
export interface Validators {
  /** With its quotes, and W/ if it is a weak one. */
  readonly etag: string | undefined;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
}

/** Status of a response to GET or HEAD after the conditions of the request, in the order of RFC 9110, 13.2.2. */
export function conditionalStatus(headers: IncomingHttpHeaders, { etag, modifiedMs }: Validators): 200 | 304 | 412 {
  // Dates in headers have no fractions.
  const modified = Math.floor(modifiedMs / 1000);
  const ifMatch = headers["if-match"];
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, etag, "strong")) return 412;
  } else {
    const since = dateOf(headers["if-unmodified-since"]);
    if (since !== undefined && modified > since) return 412;
  }
  const ifNoneMatch = headers["if-none-match"];
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, etag, "weak") ? 304 : 200;
  const since = dateOf(headers["if-modified-since"]);
  return since !== undefined && modified <= since ? 304 : 200;
}

/** Whether the part that a client asks for is one of the version that it has: without If-Range it says it is. */
export function rangeApplies(headers: IncomingHttpHeaders, { etag, modifiedMs }: Validators): boolean {
  const condition = headers["if-range"];
  if (typeof condition !== "string") return true;
  if (condition.startsWith('"') || condition.startsWith("W/")) return matches(condition, etag, "strong");
  return dateOf(condition) === Math.floor(modifiedMs / 1000);
}

function matches(list: string, etag: string | undefined, comparison: "strong" | "weak"): boolean {
  if (list.trim() === "*") return true;
  if (etag === undefined || (comparison === "strong" && etag.startsWith("W/"))) return false;
  const opaque = etag.replace(/^W\//, "");
  for (const [, weak, tag] of list.matchAll(/(W\/)?("[^"]*")/g))
    if (tag === opaque && (comparison === "weak" || weak === undefined)) return true;
  return false;
}

/** Seconds since 1970. */
function dateOf(header: string | undefined): number | undefined {
  if (header === undefined || !/GMT$/.test(header)) return undefined;
  const ms = Date.parse(header);
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000);
}
