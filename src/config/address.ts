import { isIPv6 } from "node:net";
import { resolve } from "node:path";
import {
  type Address,
  type AddressProblem as Failure,
  formatAddress,
  isEveryInterface,
  parseTcp,
  parseUnixPath,
  type TcpAddress,
} from "../net/address.ts";
import type { RelayOptions } from "./options.ts";
import { quoted } from "./source-node.ts";

/**
 * Where to listen: "tcp://host:port", "host:port", ":port" (all interfaces) or "unix://path", which may be relative to
 * `directory`.
 */
export function parseAddress(text: string, directory: string): Address | Failure {
  const path = /^unix:(?:\/\/)?(.+)$/i.exec(text)?.[1];
  const address =
    path === undefined ? parseTcp(text.replace(/^tcp:\/\//i, "")) : parseUnixPath(resolve(directory, path));
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

/**
 * An address as PHP is told it. The PHP libraries take no IPv6 literal and no empty host: whoever listens everywhere
 * listens on 127.0.0.1 too.
 */
export function addressForPhp(address: Address): { readonly text: string } | Failure {
  if (address.kind === "unix") return { text: formatAddress(address) };
  const host = phpHost(address.host);
  return host === undefined
    ? { error: unreachableForPhp(address.host) }
    : { text: formatAddress({ ...address, host }) };
}

function phpHost(host: string): string | undefined {
  if (isEveryInterface(host)) return "127.0.0.1";
  if (!isIPv6(host)) return host;
  return host === "::1" ? "localhost" : undefined;
}

function unreachableForPhp(host: string): string {
  return `PHP's libraries cannot connect to the IPv6 address ${host}: use a host name, 127.0.0.1 or unix://path`;
}
