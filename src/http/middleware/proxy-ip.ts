import type { IncomingHttpHeaders } from "node:http";
import { BlockList, isIP, isIPv6, type Socket } from "node:net";
import type { HttpOptions } from "../../config/options.ts";
import type { Step } from "../middleware.ts";

/** `proxy_ip_parser`: the application sees the client's address, not that of the proxy, if the proxy is trusted. */
export function createProxyIp({ trustedSubnets, trustedHeaders }: HttpOptions): Step | string {
  if (trustedSubnets.length === 0) return "http.trusted_subnets names no proxy";
  const trusted = subnetList(trustedSubnets);
  const names = trustedHeaders.map((name) => name.toLowerCase());
  // Whether a connection is one of a proxy is decided once.
  const decisions = new WeakMap<Socket, boolean>();
  return (scope) => {
    const { socket, headers } = scope.incoming;
    let isTrusted = decisions.get(socket);
    if (isTrusted === undefined) {
      isTrusted = contains(trusted, socket.remoteAddress ?? "");
      decisions.set(socket, isTrusted);
    }
    if (isTrusted) {
      const address = clientAddress(headers, names, (hop) => contains(trusted, hop));
      if (address !== undefined) scope.remoteAddress = address;
    }
    return undefined;
  };
}

function subnetList(subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [address, prefix] = subnet.split("/") as [string, string?];
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

function contains(list: BlockList, address: string): boolean {
  const plain = withoutMapping(address);
  const family = isIP(plain);
  return family !== 0 && list.check(plain, family === 4 ? "ipv4" : "ipv6");
}

/**
 * The address in the first of the headers that has one. Each proxy adds the address that it was asked from at the end:
 * the last one that is no proxy of ours is the client's, and what stands before it anybody may have written. If all are
 * ours, the first one is where it began. What is no address is passed over.
 */
export function clientAddress(
  headers: IncomingHttpHeaders,
  lowerNames: readonly string[],
  isTrusted: (address: string) => boolean,
): string | undefined {
  for (const name of lowerNames) {
    const header = headers[name];
    const value = Array.isArray(header) ? header.join(",") : header;
    if (value === undefined) continue;
    let first: string | undefined;
    for (const node of (name === "forwarded" ? forwardedFor(value) : value.split(",")).reverse()) {
      const address = addressOf(node.trim());
      if (address === undefined) continue;
      if (!isTrusted(address)) return address;
      first = address;
    }
    if (first !== undefined) return first;
  }
  return undefined;
}

/** Every "for" of `for=192.0.2.43, for="[2001:db8::1]:4711";proto=https` (RFC 7239), in order. */
function forwardedFor(value: string): string[] {
  return splitUnquoted(value).flatMap((pair) => {
    const equals = pair.indexOf("=");
    if (pair.slice(0, equals).trim().toLowerCase() !== "for") return [];
    const node = pair.slice(equals + 1).trim();
    return [node.startsWith('"') && node.endsWith('"') ? node.slice(1, -1) : node];
  });
}

/** At commas and semicolons, except in quotes. */
function splitUnquoted(value: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let at = 0; at < value.length; at++) {
    const character = value[at];
    if (character === '"') isQuoted = !isQuoted;
    else if (character === "\\" && isQuoted) at++;
    else if (!isQuoted && (character === "," || character === ";")) {
      parts.push(value.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(value.slice(start));
  return parts;
}

/** Addresses come with ports and brackets; names such as "unknown" and "_hidden" are none. */
function addressOf(node: string): string | undefined {
  if (node.length > NODE_CHARS_MAX) return undefined;
  const plain = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(node)?.[1] ?? /^([\d.]+)(?::\d{1,5})?$/.exec(node)?.[1] ?? node;
  const address = withoutMapping(plain);
  // A zone names an interface of another machine.
  return isIP(address) !== 0 && !address.includes("%") ? address : undefined;
}

/** "[", an address of IPv6 with one of IPv4 in it, "]:65535" */
const NODE_CHARS_MAX = 64;

function withoutMapping(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}
