/**
 * What the target of a request asks for: a path of a file below some folder, "a/b.css", or "" for the folder itself; a
 * slash at the end asks for a folder. `refused`: the request only tries to get out of the folder. Undefined: no file can
 * have this path; applications may have their own use for it.
 */
export type RequestedPath = { readonly path: string } | { readonly refused: 400 | 403 } | undefined;

/** @param target of the request line, query and all, as it came */
export function requestedPath(target: string): RequestedPath {
  const encoded = encodedPath(target);
  if (encoded === undefined) return undefined;
  if (PLAIN.test(encoded)) return { path: encoded.slice(1) };
  const decoded = decode(encoded);
  if (decoded === undefined) return undefined;
  if (decoded.includes("\0")) return { refused: 400 };
  // Some systems take backslashes for slashes.
  const segments = decoded.split(/[/\\]/);
  if (segments.includes("..")) return { refused: 403 };
  if (decoded.includes("\\") || CONTROL.test(decoded)) return undefined;
  const names = segments.filter((name) => name !== "" && name !== ".");
  if (isHidden(names)) return undefined;
  const path = names.join("/");
  return { path: path !== "" && (decoded.endsWith("/") || decoded.endsWith("/.")) ? `${path}/` : path };
}

/** Without query; only the path of an absolute uri. */
function encodedPath(target: string): string | undefined {
  const end = target.search(/[?#]/);
  const path = end < 0 ? target : target.slice(0, end);
  if (path.charCodeAt(0) === SLASH) return path;
  return /^https?:\/\/[^/]*(\/.*)$/i.exec(path)?.[1];
}

/** Undefined: escapes that are none, or bytes that are no UTF-8. */
function decode(encoded: string): string | undefined {
  try {
    // Node hands out bytes as characters: what was sent unescaped may be UTF-8 all the same.
    const bytes = NON_ASCII.test(encoded) ? Buffer.from(encoded, "latin1").toString("utf8") : encoded;
    return decodeURIComponent(bytes);
  } catch {
    return undefined;
  }
}

const SLASH = 0x2f;
/** Names without anything special, with single slashes between them. */
const PLAIN = /^(?:\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+$/;
const NON_ASCII = /[^\0-\x7f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
const CONTROL = /[\0-\x1f\x7f]/;

/** What is for the public in spite of its dot, at the start of a path: RFC 8615. */
export const WELL_KNOWN = ".well-known";

/** @param names of a path, from its start */
export function isHidden(names: readonly string[]): boolean {
  return names.some((name, at) => name.startsWith(".") && (at > 0 || name !== WELL_KNOWN));
}

/**
 * Source of PHP, whatever stands behind the extension: editors and people leave copies such as index.php.bak or
 * index.php~.
 */
export function isPhp(name: string): boolean {
  return /\.(?:php\d*|phtml|phar|phps)(?:$|[^0-9a-z])/i.test(name);
}

/** The same in a file without extension, such as bin/console: by its first bytes. */
export function isScript(start: Buffer): boolean {
  return /^(?:\xef\xbb\xbf)?(?:#!|\s*<\?(?:php|=))/i.test(start.toString("latin1", 0, SCRIPT_START_BYTES));
}

/** So much of a file tells whether it is a script. */
export const SCRIPT_START_BYTES = 256;

/** ".css" in lower case; "" without any. */
export function extensionOf(path: string): string {
  const dot = path.lastIndexOf(".");
  return dot > path.lastIndexOf("/") ? path.slice(dot).toLowerCase() : "";
}
