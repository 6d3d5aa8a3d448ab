import type { HttpOptions } from "../../config/options.ts";
import type { Log } from "../../log.ts";
import { addFilter } from "../answer.ts";
import type { Step } from "../middleware.ts";
import { textToBytes } from "../percent.ts";
import type { ResponseFilter } from "../response-filter.ts";
import { createCors } from "./cors.ts";

/** `headers`: what `http.headers` adds to requests and responses, and CORS. */
export function createHeaders({ headers }: HttpOptions, log: Log): Step | string {
  if (headers === undefined) return "http.headers is missing";
  const request = Object.entries(headers.request);
  const response = Object.entries(headers.response);
  const filter = response.length > 0 ? defaultHeaders(response) : undefined;
  const cors = headers.cors && createCors(headers.cors, log);
  return (scope) => {
    for (const [name, value] of request) scope.setRequestHeader(name, value);
    if (filter !== undefined) addFilter(scope, filter);
    if (cors !== undefined) {
      const preflight = cors.preflight(scope.incoming);
      if (preflight !== undefined)
        return (sink) => {
          sink.writeHead(preflight.status, preflight.headers);
          sink.end();
        };
      addFilter(scope, cors.filter);
    }
    return undefined;
  };
}

/** Headers of every response that has not got them from whoever made it. */
export function defaultHeaders(headers: readonly (readonly [name: string, value: string])[]): ResponseFilter {
  const known = headers.map(([name, value]) => ({ name, lowerName: name.toLowerCase(), value: textToBytes(value) }));
  return (head) => {
    for (const { name, lowerName, value } of known) if (!head.has(lowerName)) head.append(name, value);
    return undefined;
  };
}
