import { isIP, isIPv6 } from "node:net";

/** Where something listens, or is connected to. */
export type TcpAddress = { readonly kind: "tcp"; readonly host: string; readonly port: number };
export type UnixAddress = { readonly kind: "unix"; readonly path: string };
export type Address = TcpAddress | UnixAddress;

/** An empty text: there is no more to say than what was expected. */
export type AddressProblem = { readonly error: string };

/** The host of ":8080": every address of the machine, of both families where the system has both. */
export const EVERY_INTERFACE = "";

/** The kernel's limit, without the zero at the end. */
export const UNIX_PATH_BYTES_MAX = process.platform === "darwin" ? 103 : 107;

/** "host:port" or ":port", an IPv6 address in brackets. */
export function parseTcp(text: string): TcpAddress | AddressProblem {
  const match = /^(?:\[([^\]]*)\]|([^:/[\]\s]*)):(\d{1,5})$/.exec(text);
  if (!match) return { error: whyNoAddress(text) };
  const [, bracketed, plain, portText] = match;
  const port = Number(portText);
  if (port > 65_535) return { error: "a port is at most 65535" };
  if (bracketed !== undefined && !isIPv6(bracketed)) return { error: `[${bracketed}] is no IPv6 address` };
  if (bracketed !== undefined) return { kind: "tcp", host: shortIPv6(bracketed), port };
  const host = plain!;
  if (/^[\d.]+$/.test(host) && isIP(host) === 0) return { error: `${host} is no IPv4 address` };
  return { kind: "tcp", host, port };
}

/** @param path absolute */
export function parseUnixPath(path: string): UnixAddress | AddressProblem {
  const bytes = Buffer.byteLength(path);
  if (bytes <= UNIX_PATH_BYTES_MAX) return { kind: "unix", path };
  return { error: `the path of a socket has at most ${UNIX_PATH_BYTES_MAX} bytes, ${path} has ${bytes}` };
}

function whyNoAddress(text: string): string {
  if (/^\d+$/.test(text)) return `a port alone is written ":${text}"`;
  if (isIPv6(text) || isIPv6(text.replace(/:\d+$/, ""))) return "an IPv6 address stands in brackets, as in [::1]:8080";
  return /^[^:/\s]+$/.test(text) ? "the port is missing" : "";
}

/** "0:0:0:0:0:0:0:1" to "::1"; a zone ("%eth0") is kept. */
function shortIPv6(host: string): string {
  const [address, zone] = host.split("%", 2);
  const short = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  return zone === undefined ? short : `${short}%${zone}`;
}

/** "tcp://host:port" or "unix://path". */
export function formatAddress(address: Address): string {
  return address.kind === "unix" ? `unix://${address.path}` : `tcp://${hostPort(address.host, address.port)}`;
}

/** "host:port", an IPv6 address in brackets. */
export function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** For messages: what `formatAddress` gives, without "tcp://" and "unix://". */
export function plainAddress(address: Address): string {
  return address.kind === "unix" ? address.path : hostPort(address.host, address.port);
}

/** Whether a host stands for all addresses of the machine. */
export function isEveryInterface(host: string): boolean {
  return host === EVERY_INTERFACE || host === "0.0.0.0" || host === "::";
}

/** Whether only this machine can connect: "localhost" and the addresses of the loopback device. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** Whether two listeners cannot have both addresses. A port that the system chooses is no obstacle. */
export function collide(one: Address, other: Address): boolean {
  if (one.kind === "unix" || other.kind === "unix")
    return one.kind === "unix" && other.kind === "unix" && one.path === other.path;
  if (one.port !== other.port || one.port === 0) return false;
  return one.host === other.host || covers(one.host, other.host) || covers(other.host, one.host);
}

function covers(wide: string, host: string): boolean {
  if (wide === EVERY_INTERFACE || wide === "::") return true;
  return wide === "0.0.0.0" && isIP(host) !== 6;
}
