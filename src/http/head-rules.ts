import type { IncomingMessage } from "node:http";
import { StreamRequest } from "./stream-request.ts";

/** Why the head of a request is refused. */
export interface HeadProblem {
  readonly status: 400 | 417 | 431 | 505;
  readonly message: string;
}

/**
 * What Node's parser lets through and nobody behind it should have to think of. The rules are those of RFC 9112 about
 * messages that two servers in a row may read in different ways.
 */
export function headProblem(incoming: IncomingMessage, headersMax: number): HeadProblem | undefined {
  const { rawHeaders, httpVersion, headers, url = "" } = incoming;
  if (rawHeaders.length > 2 * headersMax)
    return { status: 431, message: `the request has more than ${headersMax} headers (http.max_headers)` };
  // HTTP/2 and FastCGI have been through parsers of their own.
  if (httpVersion !== "1.1" && !((incoming as unknown) instanceof StreamRequest)) {
    if (httpVersion !== "1.0")
      return { status: 505, message: `HTTP/${httpVersion} is not spoken here, but HTTP/1.1 and HTTP/1.0` };
    if (headers["transfer-encoding"] !== undefined)
      return { status: 400, message: "HTTP/1.0 has no Transfer-Encoding: where the body ends is not clear" };
  }
  const { host, expect } = headers;
  if (expect !== undefined && httpVersion === "1.1" && expect.toLowerCase() !== "100-continue")
    return { status: 417, message: `the header Expect is ${JSON.stringify(expect)}, and only "100-continue" is known` };
  if (host !== undefined && (host !== lastHost || rawHeaders.length > 2) && !isHostFine(rawHeaders, host))
    return { status: 400, message: "the header Host is there twice, or is no name of a host" };
  if (url.charCodeAt(0) !== SLASH && !isTargetFine(url, incoming.method))
    return { status: 400, message: "the target of the request is neither a path nor a uri" };
  return undefined;
}

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
  if (!HOST.test(host)) return false;
  lastHost = host;
  return true;
}

function isTargetFine(target: string, method: string | undefined): boolean {
  return target === "*" ? method === "OPTIONS" : ABSOLUTE.test(target);
}

const SLASH = 0x2f;
/** A name, an address, or "[address]", with a port or without; HTTP/1.1 allows an empty one. */
const HOST = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\da-fA-F:.%\w]+\])(?::\d*)?$/;
/** Without user and password, which no client sends any more but those that want to mislead. */
const ABSOLUTE = /^https?:\/\/(?:[\w.~!$&'()*+,;=%-]+|\[[\da-fA-F:.]+\])(?::\d*)?(?:[/?]|$)/i;
