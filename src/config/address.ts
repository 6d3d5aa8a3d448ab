import { isIP, isIPv6 } from "node:net";
import { resolve } from "node:path";
import type { Address, RelayOptions } from "./options.ts";
import { quoted } from "./source-node.ts";

type TcpAddress = Extract<Address, { kind: "tcp" }>;
type Failure = { readonly error: string };

/** The kernel's limit, without the zero at the end. */
const UNIX_PATH_BYTES_MAX = process.platform === "darwin" ? 103 : 107;
const ALL_INTERFACES = "0.0.0.0";

/**
 * Where to listen: "tcp://host:port", "host:port", ":port" (all interfaces) or "unix://path", which may be relative to
 * `directory`.
 */
export function parseAddress(text: string, directory: string): Address | Failure {
  const path = /^unix:(?:\/\/)?(.+)$/i.exec(text)?.[1];
  const address = path === undefined ? parseTcp(text.replace(/^tcp:\/\//i, "")) : parseUnix(resolve(directory, path));
  return "error" in address ? unexpected('"tcp://host:port" or "unix://path"', text, address) : address;
}

/** "host:port" or ":port" (all interfaces). */
export function parseHttpAddress(text: string): TcpAddress | Failure {
  const address = parseTcp(text.replace(/^(?:tcp|http):\/\//i, "").replace(/\/$/, ""));
  return "error" in address ? unexpected('"host:port" or ":port"', text, address) : address;
}

/** "pipes", "unix://path" or "tcp://host:port". */
export function parseRelay(text: string, directory: string): RelayOptions | Failure {
  const expected = '"pipes", "unix://path" or "tcp://host:port"';
  if (/^pipes(?::\/\/.*)?$/i.test(text)) return { kind: "pipes" };
  if (!/^(?:unix|tcp):/i.test(text)) return unexpected(expected, text, { error: "" });
  const address = parseAddress(text, directory);
  if ("error" in address || address.kind === "unix") return address;
  if (address.port === 0) return unexpected(expected, text, { error: "workers are told the port, it cannot be 0" });
  return phpHost(address.host) === undefined ? { error: unreachableForPhp(address.host) } : address;
}

function unexpected(expected: string, text: string, { error }: Failure): Failure {
  return { error: `expected ${expected}, got ${quoted(text)}${error === "" ? "" : `: ${error}`}` };
}

function parseUnix(path: string): Address | Failure {
  const bytes = Buffer.byteLength(path);
  if (bytes <= UNIX_PATH_BYTES_MAX) return { kind: "unix", path };
  return { error: `the path of a socket has at most ${UNIX_PATH_BYTES_MAX} bytes, ${path} has ${bytes}` };
}

/** "host:port". An empty error: there is no more to say than what is expected. */
function parseTcp(text: string): TcpAddress | Failure {
  const match = /^(?:\[([^\]]*)\]|([^:/[\]\s]*)):(\d{1,5})$/.exec(text);
  if (!match) return { error: whyNoAddress(text) };
  const [, bracketed, plain, portText] = match;
  const port = Number(portText);
  if (port > 65_535) return { error: "a port is at most 65535" };
  if (bracketed !== undefined && !isIPv6(bracketed)) return { error: `[${bracketed}] is no IPv6 address` };
  const host = bracketed ?? plain!;
  if (/^[\d.]+$/.test(host) && isIP(host) === 0) return { error: `${host} is no IPv4 address` };
  return { kind: "tcp", host: host === "" ? ALL_INTERFACES : host, port };
}

function whyNoAddress(text: string): string {
  if (/^\d+$/.test(text)) return `a port alone is written ":${text}"`;
  if (isIPv6(text) || isIPv6(text.replace(/:\d+$/, ""))) return "an IPv6 address stands in brackets, as in [::1]:8080";
  return /^[^:/\s]+$/.test(text) ? "the port is missing" : "";
}

/**
 * An address as PHP is told it. The PHP libraries take no IPv6 literal and no empty host: whoever listens everywhere
 * listens on 127.0.0.1 too.
 */
export function addressForPhp(address: Address): { readonly text: string } | Failure {
  if (address.kind === "unix") return { text: `unix://${address.path}` };
  const host = phpHost(address.host);
  return host === undefined ? { error: unreachableForPhp(address.host) } : { text: `tcp://${host}:${address.port}` };
}

function phpHost(host: string): string | undefined {
  if (host === ALL_INTERFACES || host === "::") return "127.0.0.1";
  if (!isIPv6(host)) return host;
  return host === "::1" ? "localhost" : undefined;
}

function unreachableForPhp(host: string): string {
  return `PHP's libraries cannot connect to the IPv6 address ${host}: use a host name, 127.0.0.1 or unix://path`;
}
