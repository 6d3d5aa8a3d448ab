import { isIP } from "node:net";
import { isAbsolute, resolve } from "node:path";
import type {
  Compression,
  Cors,
  FileServer,
  FileServerFolder as FolderMessage,
  Headers,
  Http,
  StaticFiles,
} from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { parseHttpAddress } from "./address.ts";
import type {
  CompressionOptions,
  CorsOptions,
  FileServerFolder,
  FileServerOptions,
  FolderOptions,
  HeadersOptions,
  HttpOptions,
  StaticOptions,
} from "./options.ts";
import { milliseconds, type ResolutionContext } from "./resolution.ts";

type MiddlewareOptions = Pick<
  HttpOptions,
  "middleware" | "headers" | "compression" | "static" | "sendfile" | "trustedSubnets" | "trustedHeaders"
>;

/** How long a small file may be sent from memory before it is looked at again: too short for people to notice. */
const FRESH_MS = 100;

export function resolveMiddleware(http: Http, context: ResolutionContext): MiddlewareOptions {
  const { workingDirectory, report } = context;
  for (const subnet of http.trustedSubnets)
    if (!isSubnet(subnet))
      report(
        "http.trusted_subnets",
        `expected addresses and networks such as 10.0.0.0/8, got ${JSON.stringify(subnet)}`,
      );
  for (const [key, isThere] of [
    ["headers", http.headers],
    ["static", http.static],
  ] as const)
    if (isThere && !http.middleware.includes(key))
      report(`http.${key}`, `it has no effect: "${key}" is not in http.middleware`, "warning");
  for (const name of http.trustedHeaders) checkName(name, "http.trusted_headers", context);
  return {
    middleware: http.middleware.map((name) => (isModulePath(name) ? resolve(workingDirectory, name) : name)),
    headers: http.headers && resolveHeaders(http.headers, context),
    compression: resolveCompression(http.gzip!, context),
    static: http.static && resolveStatic(http.static, context),
    sendfile: {
      root: resolve(workingDirectory, http.sendfile?.root ?? ""),
      rootOnly: http.sendfile?.root !== undefined,
    },
    trustedSubnets: http.trustedSubnets,
    trustedHeaders: http.trustedHeaders,
  };
}

/** Names have no slashes and no extension. */
export function isModulePath(name: string): boolean {
  return /^\.{0,2}[/\\]/.test(name) || isAbsolute(name) || /\.[cm]?[jt]s$/i.test(name);
}

function resolveHeaders({ request, response, cors }: Headers, context: ResolutionContext): HeadersOptions {
  checkHeaders(request, "http.headers.request", context);
  checkHeaders(response, "http.headers.response", context);
  return { request, response, cors: cors && resolveCors(cors, context) };
}

function resolveCors(cors: Cors, context: ResolutionContext): CorsOptions {
  for (const name of cors.allowedHeaders)
    if (name !== "*") checkName(name, "http.headers.cors.allowed_headers", context);
  for (const name of cors.exposedHeaders) checkName(name, "http.headers.cors.exposed_headers", context);
  for (const name of cors.allowedMethods) checkName(name, "http.headers.cors.allowed_methods", context);
  const allowedOrigins = cors.allowedOrigin.map((origin) => origin.toLowerCase());
  const tooMany = allowedOrigins.find((origin) => origin.split("*").length > 2);
  if (tooMany !== undefined)
    context.report("http.headers.cors.allowed_origin", `expected at most one "*" in an origin, got "${tooMany}"`);
  if (cors.allowCredentials && !cors.allowedOriginRegex && allowedOrigins.includes("*"))
    context.report(
      "http.headers.cors.allow_credentials",
      "browsers refuse credentials if all origins are allowed: name the origins",
      "warning",
    );
  return {
    allowedOrigins,
    allowedOriginPattern: cors.allowedOriginRegex ? resolvePattern(cors.allowedOriginRegex, context) : undefined,
    allowedHeaders: cors.allowedHeaders,
    allowedMethods: cors.allowedMethods.map((method) => method.toUpperCase()),
    allowCredentials: cors.allowCredentials!,
    exposedHeaders: cors.exposedHeaders,
    maxAgeSeconds: cors.maxAge!,
    preflightStatus: cors.optionsSuccessStatus!,
    debug: cors.debug!,
  };
}

/** Go writes flags into the expression, "(?i)^https"; JavaScript has them apart. */
function resolvePattern(text: string, { report }: ResolutionContext): CorsOptions["allowedOriginPattern"] {
  const [, flags = "", source = text] = /^(?:\(\?([is]+)\))?(.*)$/s.exec(text) ?? [];
  try {
    new RegExp(source, flags);
    return { source, flags };
  } catch (error) {
    report("http.headers.cors.allowed_origin_regex", (error as Error).message);
    return undefined;
  }
}

const ENCODINGS = ["zstd", "br", "gzip"] as const;

function resolveCompression({ minSize, encodings }: Compression, { report }: ResolutionContext): CompressionOptions {
  const unknown = encodings.find((encoding) => !ENCODINGS.some((known) => known === encoding));
  if (unknown !== undefined)
    report("http.gzip.encodings", `expected ${ENCODINGS.map((known) => `"${known}"`).join(", ")}, got "${unknown}"`);
  return { minBytes: Number(minSize), encodings: encodings as CompressionOptions["encodings"] };
}

function resolveStatic(files: StaticFiles, context: ResolutionContext): StaticOptions {
  checkHeaders(files.response, "http.static.response", context);
  const headers = files.cacheControl ? { ...files.response, "Cache-Control": files.cacheControl } : files.response;
  if (files.cacheControl) checkHeaders({ "Cache-Control": files.cacheControl }, "http.static.cache_control", context);
  for (const name of files.index)
    if (/[/\\]/.test(name) || name.startsWith("."))
      context.report("http.static.index", `expected names of files such as index.html, got "${name}"`);
  return {
    root: resolve(context.workingDirectory, files.dir ?? ""),
    etag: etagKind(files),
    index: files.index,
    precompressed: files.precompressed!,
    ranges: true,
    freshMs: FRESH_MS,
    headers,
    forbid: files.forbid.map(extension),
    allow: files.allow.map(extension),
    extensionless: files.extensionless!,
    notFound: files.notFound.map(extension),
    followLinks: files.followLinks as FolderOptions["followLinks"],
  };
}

function etagKind({ calculateEtag, weak }: { calculateEtag?: boolean; weak?: boolean }): FolderOptions["etag"] {
  if (!calculateEtag) return "none";
  return weak ? "weak" : "strong";
}

/** ".css" of ".css", "css" or "*.css". */
function extension(text: string): string {
  return `.${text.slice(text.lastIndexOf(".") + 1).toLowerCase()}`;
}

export function resolveFileServer(files: FileServer, context: ResolutionContext): FileServerOptions {
  const address = parseHttpAddress(files.address ?? "");
  if ("error" in address && files.address !== undefined) context.report("fileserver.address", address.error);
  if (files.serve.length === 0)
    context.reportMissing("fileserver.serve", "it is empty: name a folder, such as `- {prefix: /, root: public}`");
  const folders = files.serve.map((folder, index) => resolveFolder(folder, index, files, context));
  return {
    address: "error" in address ? { kind: "tcp", host: "127.0.0.1", port: 0 } : address,
    folders: folders.sort((one, other) => other.prefix.length - one.prefix.length),
  };
}

function resolveFolder(
  folder: FolderMessage,
  index: number,
  server: FileServer,
  { workingDirectory, report }: ResolutionContext,
): FileServerFolder {
  const prefix = folder.prefix ?? "/";
  if (!prefix.startsWith("/"))
    report(`fileserver.serve.${index}.prefix`, `expected a path such as /static, got ${JSON.stringify(prefix)}`);
  return {
    prefix: prefix.replace(/\/+$/, ""),
    root: resolve(workingDirectory, folder.root!),
    etag: etagKind(server),
    index: ["index.html"],
    precompressed: folder.compress!,
    ranges: folder.bytesRange!,
    followLinks: folder.followLinks as FolderOptions["followLinks"],
    freshMs: milliseconds(folder.cacheDuration),
    headers: folder.maxAge ? { "Cache-Control": `public, max-age=${folder.maxAge}` } : {},
    compress: folder.compress!,
  };
}

function checkHeaders(headers: Readonly<Record<string, string>>, path: string, context: ResolutionContext): void {
  for (const [name, value] of Object.entries(headers)) {
    checkName(name, `${path}.${name}`, context);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
    if (/[\0-\x08\x0a-\x1f\x7f]/.test(value))
      context.report(`${path}.${name}`, `expected a header's value, without line breaks, got ${JSON.stringify(value)}`);
  }
}

function checkName(name: string, path: string, { report }: ResolutionContext): void {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
    report(path, `${JSON.stringify(name)} is no name of a header: use letters, digits and "-"`);
}

function isSubnet(text: string): boolean {
  const [address, prefix, ...rest] = text.split("/");
  const family = isIP(address!);
  if (family === 0 || rest.length > 0) return false;
  if (prefix === undefined) return true;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
}
