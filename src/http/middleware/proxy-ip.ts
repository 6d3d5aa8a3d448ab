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
      const address = clientAddress(headers, names);
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

/** The address in the first of the headers that has one. */
export function clientAddress(headers: IncomingHttpHeaders, lowerNames: readonly string[]): string | undefined {
  for (const name of lowerNames) {
    const header = headers[name];
    const value = Array.isArray(header) ? header[0] : header;
    if (value === undefined) continue;
    const node = name === "forwarded" ? forwardedFor(value) : value.split(",")[0]!.trim();
    const address = node === undefined ? undefined : addressOf(node);
    if (address !== undefined) return address;
  }
  return undefined;
}

/** The first "for" of `for=192.0.2.43, for="[2001:db8::1]:4711";proto=https` (RFC 7239). */
function forwardedFor(value: string): string | undefined {
  const match = /(?:^|[;,])\s*for\s*=\s*(?:"([^"]*)"|([^\s;,"]*))/i.exec(value);
  return match?.[1] ?? match?.[2];
}

/** Addresses come with ports and brackets; names such as "unknown" and "_hidden" are none. */
function addressOf(node: string): string | undefined {
  const plain = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(node)?.[1] ?? /^([\d.]+)(?::\d{1,5})?$/.exec(node)?.[1] ?? node;
  const address = withoutMapping(plain);
  // A zone names an interface of another machine.
  return isIP(address) !== 0 && !address.includes("%") ? address : undefined;
}

function withoutMapping(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}
