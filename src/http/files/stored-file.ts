import { createHash } from "node:crypto";
import type { Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { basename } from "node:path";
import { getMimeType } from "hono/utils/mime";
import type { FolderOptions } from "../../config/options.ts";
import { textToBytes } from "../percent.ts";
import { markReusable } from "../reusable-body.ts";
import type { OpenedFile } from "./opened-file.ts";
import { extensionOf, isScript, SCRIPT_START_BYTES } from "./requested-path.ts";

/** Larger files are read for every request. */
export const MEMORY_FILE_BYTES = 1024 * 1024;
/** Bodies that are also kept as text: Node writes those together with the head. */
const TEXT_BYTES = 16 * 1024;

export type ContentEncoding = "br" | "zstd" | "gzip";

/** A file as it was when it was looked at, ready to be sent. */
export interface StoredFile {
  /** Opens it anew, if it is still to be sent. */
  readonly open: () => Promise<OpenedFile | undefined>;
  readonly identity: string;
  readonly size: number;
  /** What clients are told. */
  readonly modifiedMs: number;
  /** When this very file changed. */
  readonly changedMs: number;
  readonly etag: string | undefined;
  readonly encoding: ContentEncoding | undefined;
  /** Name, value, ... of every response with the file, its length excepted. */
  readonly headers: string[];
  /** The same with the length. */
  readonly wholeHeaders: string[];
  /** Of small files. */
  readonly body: Buffer | undefined;
  /** The body, a byte a character. */
  readonly text: string | undefined;
}

/** Tells versions of a file apart. */
export function identityOf({ dev, ino, size, mtimeMs }: Stats): string {
  return `${dev}:${ino}:${size}:${mtimeMs}`;
}

/** What is known of a file before it is read. */
export interface FileDescription {
  /** Decides about the type: the name that was asked for. */
  readonly name: string;
  readonly encoding?: ContentEncoding;
  /** There are other encodings of the same. */
  readonly varies?: boolean;
  /** When the file changed that this is an encoding of. */
  readonly modifiedMs?: number;
  /** Opens the file anew, if it is still to be sent. */
  readonly open: () => Promise<OpenedFile | undefined>;
}

/** Reads a file, or what is to be known of it if it is large, and closes it. Undefined if it is none that is to be sent. */
export async function readStoredFile(
  { handle, stats, realPath }: OpenedFile,
  description: FileDescription,
  { etag: etagKind, headers, ranges }: Pick<FolderOptions, "etag" | "headers" | "ranges">,
): Promise<StoredFile | undefined> {
  try {
    const body = stats.size <= MEMORY_FILE_BYTES ? await handle.readFile() : undefined;
    // It grew or shrank while it was read: what was read may be half of it.
    if (body !== undefined && body.length !== stats.size) return undefined;
    if (extensionOf(basename(realPath)) === "" && isScript(body ?? (await startOf(handle)))) return undefined;
    if (body !== undefined) markReusable(body);
    const etag = etagKind === "none" ? undefined : etagOf(stats, body, etagKind, description.encoding);
    return storedFile(description, stats, body, etag, headers, ranges);
  } finally {
    await handle.close();
  }
}

async function startOf(handle: FileHandle): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(SCRIPT_START_BYTES), 0, SCRIPT_START_BYTES, 0);
  return buffer.subarray(0, bytesRead);
}

function storedFile(
  { name, encoding, varies = false, ...description }: FileDescription,
  stats: Stats,
  body: Buffer | undefined,
  etag: string | undefined,
  configured: FolderOptions["headers"],
  ranges: boolean,
): StoredFile {
  const modifiedMs = description.modifiedMs ?? stats.mtimeMs;
  const lastModified = new Date(modifiedMs).toUTCString();
  const headers = ["Content-Type", contentTypeOf(name), "Last-Modified", lastModified];
  headers.push("Accept-Ranges", ranges ? "bytes" : "none");
  if (etag !== undefined) headers.push("ETag", etag);
  if (encoding !== undefined) headers.push("Content-Encoding", encoding);
  if (varies) headers.push("Vary", "Accept-Encoding");
  const own = new Set(headers.filter((_, at) => at % 2 === 0).map((header) => header.toLowerCase()));
  for (const [header, value] of Object.entries(configured)) {
    const at = own.has(header.toLowerCase())
      ? headers.findIndex((one) => one.toLowerCase() === header.toLowerCase())
      : -1;
    if (at < 0) headers.push(header, textToBytes(value));
    else headers[at + 1] = textToBytes(value);
  }
  return {
    open: description.open,
    identity: identityOf(stats),
    size: stats.size,
    modifiedMs,
    changedMs: stats.mtimeMs,
    etag,
    encoding,
    headers,
    wholeHeaders: [...headers, "Content-Length", String(stats.size)],
    body,
    text: body !== undefined && body.length <= TEXT_BYTES ? body.toString("latin1") : undefined,
  };
}

export function contentTypeOf(name: string): string {
  return getMimeType(name) ?? "application/octet-stream";
}

/** Strong ones are of the content, so that all servers of a site have the same, as far as it is in memory anyway. */
function etagOf(
  { size, mtimeMs }: Stats,
  body: Buffer | undefined,
  kind: "strong" | "weak",
  encoding: ContentEncoding | undefined,
): string {
  const suffix = encoding === undefined ? "" : `-${encoding}`;
  const stamp = `${size.toString(16)}-${Math.round(mtimeMs * 1000).toString(16)}${suffix}`;
  if (kind === "weak") return `W/"${stamp}"`;
  return body === undefined ? `"${stamp}"` : `"${createHash("sha1").update(body).digest("base64url")}${suffix}"`;
}
