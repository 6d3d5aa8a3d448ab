import { resolve } from "node:path";
import type { Address } from "./options.ts";

/** Reads "tcp://host:port", "host:port", ":port" or "unix://path"; a text says what is wrong. */
export function parseAddress(text: string, directory: string): Address | string {
  const unix = /^unix:\/\/(.+)$/.exec(text);
  if (unix) return { kind: "unix", path: resolve(directory, unix[1]!) };
  const tcp = /^(?:tcp:\/\/)?(?:\[([^\]]*)\]|([^:/[\]]*)):(\d{1,5})$/.exec(text);
  if (!tcp || Number(tcp[3]) > 65535) return `expected "tcp://host:port" or "unix://path", got "${text}"`;
  return { kind: "tcp", host: tcp[1] ?? tcp[2]!, port: Number(tcp[3]) };
}

/**
 * An address as PHP is told it. The PHP libraries take no IPv6 literal and no empty host: whoever listens everywhere
 * listens on 127.0.0.1 too.
 */
export function addressForPhp(address: Address): string {
  if (address.kind === "unix") return `unix://${address.path}`;
  const everywhere = address.host === "" || address.host === "0.0.0.0" || address.host.includes(":");
  return `tcp://${everywhere ? "127.0.0.1" : address.host}:${address.port}`;
}
