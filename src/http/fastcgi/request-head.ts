import { escapeHighBytes, TOKEN } from "../http1/request-line.ts";
import type { StreamRequestHead } from "../stream-request.ts";

/**
 * A request as CGI/1.1 parameters (RFC 3875) describe it: what the client sent, as far as the web server tells.
 *
 * @throws Error if a parameter that every web server sends is missing or makes no sense
 */
export function requestHeadOf(params: ReadonlyMap<string, string>): StreamRequestHead {
  const method = params.get("REQUEST_METHOD");
  if (method === undefined || !TOKEN.test(method))
    throw new Error("REQUEST_METHOD is missing: the web server has to send its usual parameters");
  const rawHeaders: string[] = [];
  let host: string | undefined;
  let length = "";
  for (const [name, value] of params) {
    if (name === "CONTENT_TYPE") {
      if (value !== "") rawHeaders.push("Content-Type", value);
    } else if (name === "CONTENT_LENGTH") length = value;
    else if (name === "HTTP_HOST") host = value;
    // HTTP_PROXY is how the header "Proxy" poisons CGI programs; nobody sends it in earnest.
    else if (name.startsWith("HTTP_") && !DROPPED.has(name)) rawHeaders.push(headerOf(name), value);
  }
  if (length !== "" && !/^\d{1,15}$/.test(length)) throw new Error(`CONTENT_LENGTH is ${JSON.stringify(length)}`);
  if (length !== "") rawHeaders.push("Content-Length", length);
  rawHeaders.unshift("Host", host ?? localHost(params));
  return {
    httpVersion: /^HTTP\/(\d\.\d)$/.exec(params.get("SERVER_PROTOCOL") ?? "")?.[1] ?? "1.1",
    method,
    url: escapeHighBytes(targetOf(params)),
    rawHeaders,
    connection: {
      remoteAddress: params.get("REMOTE_ADDR") ?? "",
      remotePort: Number(params.get("REMOTE_PORT")) || undefined,
      localAddress: params.get("SERVER_ADDR"),
      localPort: Number(params.get("SERVER_PORT")) || undefined,
      encrypted: /^(on|1)$/i.test(params.get("HTTPS") ?? "") || params.get("REQUEST_SCHEME") === "https",
    },
    hasBody: length !== "" && Number(length) > 0,
  };
}

const DROPPED: ReadonlySet<string> = new Set([
  "HTTP_CONTENT_LENGTH",
  "HTTP_CONTENT_TYPE",
  "HTTP_EXPECT",
  "HTTP_PROXY",
  "HTTP_TRANSFER_ENCODING",
]);

function targetOf(params: ReadonlyMap<string, string>): string {
  const target = params.get("REQUEST_URI");
  if (target !== undefined && target !== "") return target;
  const path = `${params.get("SCRIPT_NAME") ?? ""}${params.get("PATH_INFO") ?? ""}` || "/";
  const query = params.get("QUERY_STRING") ?? "";
  return query === "" ? path : `${path}?${query}`;
}

function localHost(params: ReadonlyMap<string, string>): string {
  const name = params.get("SERVER_NAME") ?? "localhost";
  const port = params.get("SERVER_PORT");
  return port === undefined || port === "80" || port === "443" ? name : `${name}:${port}`;
}

/** "HTTP_X_REQUEST_ID" -> "X-Request-Id". */
function headerOf(name: string): string {
  return name
    .slice("HTTP_".length)
    .toLowerCase()
    .replaceAll("_", "-")
    .replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}
