import type { IncomingMessage } from "node:http";
import type { HttpOptions, RouteOptions } from "../config/options.ts";

/** Tells the options that a request is served by: those of the first route that fits, or the frontend's own. */
export type RequestRouter = (incoming: IncomingMessage) => HttpOptions;

export function createRouter(options: HttpOptions): RequestRouter {
  if (options.routes.length === 0) return () => options;
  const routes = options.routes.map((route) => ({ fits: compileRoute(route), options: optionsOf(options, route) }));
  return (incoming) => {
    const { method = "GET", url = "/", headers } = incoming;
    // Decoded for the first route that asks.
    let path: string | undefined;
    const pathOf = () => (path ??= decodedPath(url));
    for (const route of routes) if (route.fits(method, pathOf, headers)) return route.options;
    return options;
  };
}

function optionsOf(options: HttpOptions, { pool, contextCodec, debug, maxRequestBytes }: RouteOptions): HttpOptions {
  return { ...options, pool, contextCodec, debug, maxRequestBytes };
}

type Fits = (method: string, pathOf: () => string, headers: IncomingMessage["headers"]) => boolean;

function compileRoute({ path, host, methods, headers }: RouteOptions): Fits {
  const fitsPath = path === undefined ? undefined : compilePattern(path);
  const fitsHost = host === undefined ? undefined : compilePattern(host);
  const fitsHeaders = Object.entries(headers).map(([name, value]) => ({ name, fits: compilePattern(value) }));
  return (method, pathOf, given) => {
    if (methods.length > 0 && !methods.includes(method)) return false;
    if (fitsPath && !fitsPath(pathOf())) return false;
    if (fitsHost && !fitsHost(hostName(given.host ?? ""))) return false;
    return fitsHeaders.every(({ name, fits }) => {
      const value = given[name];
      return value !== undefined && fits(Array.isArray(value) ? value.join(", ") : value);
    });
  };
}

/**
 * A text in which "*" stands for any text. Takes time in proportion to what it is compared with, whatever clients send:
 * each part between stars is looked for once, from the left.
 */
export function compilePattern(pattern: string): (text: string) => boolean {
  const parts = pattern.split("*");
  if (parts.length === 1) return (text) => text === pattern;
  const first = parts[0]!;
  const last = parts[parts.length - 1]!;
  const inner = parts.slice(1, -1).filter((part) => part !== "");
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    let at = first.length;
    const end = text.length - last.length;
    for (const part of inner) {
      const found = text.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}

/** The path of a request target, as the application will understand it. What cannot be decoded stays as it is. */
function decodedPath(target: string): string {
  const authority = /^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i.exec(target)?.[0] ?? "";
  const path = target.slice(authority.length).split("?", 1)[0]! || "/";
  if (!path.includes("%")) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function hostName(host: string): string {
  return host.replace(/:\d*$/, "").toLowerCase();
}
