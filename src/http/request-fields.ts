import type { IncomingMessage } from "node:http";
import { type HeaderName, headerName, startHeaderPass } from "./header-names.ts";
import { unescapePercent } from "./percent.ts";

/**
 * What a worker is told about a request. Texts are strings of bytes (latin1, as Node hands them out): whether they are
 * UTF-8 is decided once, by whoever encodes them.
 */
export interface RequestFields {
  /** Without port. */
  remoteAddress: string;
  /** "HTTP/1.1" */
  protocol: string;
  method: string;
  /** Absolute. */
  uri: string;
  headers: RequestHeaders;
  /** Decoded; undefined without any. */
  cookies: Map<string, string> | undefined;
  /** Without the question mark, undecoded. */
  rawQuery: string;
  /** The body is a form tree. */
  parsed: boolean;
  /** Tree of uploaded files, as JSON in bytes; undefined unless the request is a multipart form. */
  uploadsJson: string | undefined;
  /**
   * For PHP's $_FILES, as JSON in bytes; undefined unless inputs for files were left empty, which RoadRunner tells as empty
   * texts. `files`: the tree of uploads with those inputs in it, error 4; `texts`: the paths of those texts.
   */
  fileInputsJson: string | undefined;
  /** Set by middleware. Proper texts, not bytes. */
  attributes: Readonly<Record<string, readonly string[]>> | undefined;
}

/** Headers in order of first appearance; a repeated one has its values as a list. */
export interface RequestHeaders {
  readonly names: HeaderName[];
  readonly values: (string | string[])[];
}

/**
 * Reads what Node parsed. `parsed`, `uploadsJson`, `fileInputsJson` and `attributes` are left to the
 * caller.
 *
 * @param replacements name, value, ...: headers in place of what the client sent by these names
 */
export function readRequestFields(incoming: IncomingMessage, replacements?: readonly string[]): RequestFields {
  const { socket, rawHeaders } = incoming;
  const target = incoming.url ?? "/";
  const { headers, host, cookie } = gatherHeaders(
    replacements === undefined ? rawHeaders : withReplacements(rawHeaders, replacements),
  );
  const question = target.indexOf("?");
  return {
    remoteAddress: plainAddress(socket.remoteAddress),
    protocol: incoming.httpVersion === "1.1" ? "HTTP/1.1" : `HTTP/${incoming.httpVersion}`,
    method: incoming.method ?? "GET",
    uri: absoluteUri(target, host ?? localHost(socket), "encrypted" in socket && socket.encrypted === true),
    headers,
    cookies: cookie === undefined ? undefined : parseCookies(cookie),
    rawQuery: question < 0 ? "" : target.slice(question + 1),
    parsed: false,
    uploadsJson: undefined,
    fileInputsJson: undefined,
    attributes: undefined,
  };
}

function withReplacements(rawHeaders: readonly string[], replacements: readonly string[]): string[] {
  const replaced = new Set<string>();
  for (let at = 0; at < replacements.length; at += 2) replaced.add(headerName(replacements[at]!).canonical);
  const headers: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (!replaced.has(headerName(rawHeaders[at]!).canonical)) headers.push(rawHeaders[at]!, rawHeaders[at + 1]!);
  return headers.concat(replacements);
}

export function gatherHeaders(rawHeaders: readonly string[]): {
  headers: RequestHeaders;
  host: string | undefined;
  cookie: string | undefined;
} {
  const names: HeaderName[] = [];
  const values: (string | string[])[] = [];
  let host: string | undefined;
  let cookie: string | undefined;
  const pass = startHeaderPass();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = headerName(rawHeaders[at]!);
    const value = rawHeaders[at + 1]!;
    if (name.role !== "plain") {
      if (name.role === "dropped") continue;
      if (name.role === "host") {
        host ??= value;
        continue;
      }
      cookie = cookie === undefined ? value : `${cookie}; ${value}`;
    }
    if (name.seenIn === pass) {
      const earlier = values[name.slot]!;
      if (typeof earlier === "string") values[name.slot] = [earlier, value];
      else earlier.push(value);
    } else {
      name.seenIn = pass;
      name.slot = names.push(name) - 1;
      values.push(value);
    }
  }
  return { headers: { names, values }, host, cookie };
}

/** The last one of a name wins. One that cannot be decoded is left out. Cookies are no forms: "+" is no space. */
export function parseCookies(header: string): Map<string, string> {
  const cookies = new Map<string, string>();
  let equals = -1;
  for (let start = 0; start < header.length; ) {
    const semicolon = header.indexOf(";", start);
    const end = semicolon < 0 ? header.length : semicolon;
    // Looked for once, however many cookies there are before it.
    if (equals < start) equals = nextIndex(header, "=", start);
    const hasValue = equals < end;
    const name = header.slice(start, hasValue ? equals : end).trim();
    const value = unescapePercent(hasValue ? unquote(header.slice(equals + 1, end).trim()) : "");
    if (name !== "" && value !== undefined) cookies.set(name, value);
    start = end + 1;
  }
  return cookies;
}

/** Beyond all others if there is none. */
function nextIndex(text: string, character: string, from: number): number {
  const at = text.indexOf(character, from);
  return at < 0 ? Number.POSITIVE_INFINITY : at;
}

function unquote(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/** A proxy's client may name the whole uri in the request line; everyone else names the path. */
function absoluteUri(target: string, host: string, encrypted: boolean): string {
  if (target.charCodeAt(0) !== SLASH && ABSOLUTE.test(target)) return normalTarget(target);
  return (encrypted ? "https://" : "http://") + normalHost(host) + target;
}

/** Schemes have no case (RFC 3986, 3.1), but not all libraries know that. */
export function normalTarget(target: string): string {
  return target.replace(/^https?:/i, (scheme) => scheme.toLowerCase());
}

/** An empty port is allowed (RFC 3986, 3.2.3), and means none. */
export function normalHost(host: string): string {
  return host.endsWith(":") ? host.slice(0, -1) : host;
}

/** HTTP/1.0 needs no Host header, but a uri needs a host. */
function localHost(socket: IncomingMessage["socket"]): string {
  const address = plainAddress(socket.localAddress) || "localhost";
  const host = address.includes(":") ? `[${address}]` : address;
  return socket.localPort === undefined ? host : `${host}:${socket.localPort}`;
}

/** IPv4 clients of a listener for both families look like "::ffff:192.0.2.1". */
function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

const SLASH = 0x2f;
const ABSOLUTE = /^https?:\/\//i;
