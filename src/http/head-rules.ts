import type { IncomingMessage, ServerResponse } from "node:http";
import { METHOD_BYTES_MAX, TOKEN } from "./http1/request-line.ts";
import { StreamRequest } from "./stream-request.ts";

/** Why the head of a request is refused. */
export interface HeadProblem {
  readonly status: 400 | 417 | 431 | 505;
  readonly message: string;
}

/**
 * What parsers let through and nobody behind them should have to think of. The rules are those of RFC 9112 about messages
 * that two servers in a row may read in different ways; they are the same however a request came.
 */
export function headProblem(incoming: IncomingMessage, headersMax: number): HeadProblem | undefined {
  const { rawHeaders, httpVersion, headers, url = "" } = incoming;
  if (rawHeaders.length > 2 * headersMax)
    return { status: 431, message: `the request has more than ${headersMax} headers (http.max_headers)` };
  const isStream = (incoming as unknown) instanceof StreamRequest;
  const problem = isStream ? textProblem(incoming) : httpVersion === "1.1" ? undefined : versionProblem(incoming);
  if (problem !== undefined) return problem;
  const { host, expect } = headers;
  if (expect !== undefined && httpVersion === "1.1" && expect.toLowerCase() !== "100-continue")
    return { status: 417, message: `the header Expect is ${JSON.stringify(expect)}, and only "100-continue" is known` };
  if (host !== undefined && (host !== lastHost || rawHeaders.length > 2) && !isHostFine(rawHeaders, host))
    return { status: 400, message: "the header Host is there twice, or is no name of a host" };
  if (url.charCodeAt(0) !== SLASH && !isTargetFine(url, incoming.method))
    return { status: 400, message: "the target of the request is neither a path nor a uri" };
  return undefined;
}

/** For servers that have no other use for what is wrong: answers it, and whether there was something. */
export function refuseBadHead(incoming: IncomingMessage, outgoing: ServerResponse, headersMax: number): boolean {
  const problem = headProblem(incoming, headersMax);
  if (problem === undefined) return false;
  outgoing.shouldKeepAlive = false;
  outgoing.writeHead(problem.status, ["Content-Length", "0"]);
  outgoing.end();
  return true;
}

function versionProblem({ httpVersion, headers }: IncomingMessage): HeadProblem | undefined {
  if (httpVersion !== "1.0")
    return { status: 505, message: `HTTP/${httpVersion} is not spoken here, but HTTP/1.1 and HTTP/1.0` };
  if (headers["transfer-encoding"] === undefined) return undefined;
  return { status: 400, message: "HTTP/1.0 has no Transfer-Encoding: where the body ends is not clear" };
}

/** HTTP/2 and FastCGI have been through parsers of their own, which let more through than that of HTTP/1. */
function textProblem({ method = "", url = "", rawHeaders }: IncomingMessage): HeadProblem | undefined {
  if (method.length > METHOD_BYTES_MAX || !TOKEN.test(method))
    return { status: 400, message: `the method is no token of up to ${METHOD_BYTES_MAX} characters` };
  if (NOT_IN_TARGET.test(url))
    return { status: 400, message: "the target of the request has a space or a control character" };
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (!TOKEN.test(rawHeaders[at]!)) return { status: 400, message: "the name of a header is no token" };
    if (NOT_IN_VALUE.test(rawHeaders[at + 1]!))
      return { status: 400, message: `the header ${rawHeaders[at]} has a control character` };
  }
  return undefined;
}

const NOT_IN_TARGET = /[\0-\x20\x7f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
const NOT_IN_VALUE = /[\0-\x08\x0a-\x1f\x7f]/;

/** Clients of a server name few hosts. */
let lastHost = "";

function isHostFine(rawHeaders: readonly string[], host: string): boolean {
  let seen = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!;
    if (name.length === 4 && (name === "Host" || name === "host" || name.toLowerCase() === "host") && ++seen > 1)
      return false;
  }
  if (host === lastHost) return true;
  if (!HOST.test(host) || !isPortFine(host)) return false;
  lastHost = host.length <= HOST_KEPT_CHARS ? host : "";
  return true;
}

function isTargetFine(target: string, method: string | undefined): boolean {
  return target === "*" ? method === "OPTIONS" : ABSOLUTE.test(target) && isPortFine(authorityOf(target));
}

function authorityOf(target: string): string {
  return /^https?:\/\/([^/?]*)/i.exec(target)?.[1] ?? "";
}

/** A port that nobody can have makes PHP's `parse_url` fail. */
function isPortFine(host: string): boolean {
  const colon = host.lastIndexOf(":");
  return colon < 0 || host.endsWith("]") || Number(host.slice(colon + 1)) <= PORT_MAX;
}

const SLASH = 0x2f;
const PORT_MAX = 65_535;
/** A longer one is looked at each time. */
const HOST_KEPT_CHARS = 256;
/** A name, an address, or "[address]", with a port or without; HTTP/1.1 allows an empty one. */
const HOST = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\da-fA-F:.%\w]+\])(?::\d*)?$/;
/** Without user and password, which no client sends any more but those that want to mislead. */
const ABSOLUTE = /^https?:\/\/(?:[\w.~!$&'()*+,;=%-]+|\[[\da-fA-F:.]+\])(?::\d*)?(?:[/?]|$)/i;
