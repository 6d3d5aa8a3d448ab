import type { Transform } from "node:stream";
import zlib from "node:zlib";
import type { CompressionOptions, HttpOptions } from "../../config/options.ts";
import { preferredEncoding } from "../accept-encoding.ts";
import { addFilter } from "../answer.ts";
import type { Step } from "../middleware.ts";
import type { BodyEncoder, HeadDraft, ResponseFilter } from "../response-filter.ts";
import { formsOf } from "../reusable-body.ts";

type Encoding = CompressionOptions["encodings"][number];

/** `gzip`: compresses responses for clients that take it. */
export function createCompression({ compression }: HttpOptions): Step {
  const filter = compressionFilter(compression);
  return (scope) => addFilter(scope, filter);
}

export function compressionFilter({ minBytes, encodings }: CompressionOptions): ResponseFilter {
  const offered = encodings.filter((encoding) => ENCODERS[encoding] !== undefined);
  return (head, { incoming }) => {
    if (!isCompressible(head, minBytes)) return undefined;
    head.vary("Accept-Encoding");
    const encoding = preferredEncoding(incoming.headers["accept-encoding"] as string | undefined, offered);
    if (encoding === undefined || head.status === 304) return undefined;
    head.append("Content-Encoding", encoding);
    // Other bytes with the same meaning: what a weak tag promises, and ranges would be of other bytes, too.
    const etag = head.get("etag");
    if (etag?.startsWith('"')) head.set("ETag", `W/${etag}`);
    head.remove("accept-ranges");
    head.remove("content-md5");
    return { kind: "encode", encoder: ENCODERS[encoding]! };
  };
}

function isCompressible(head: HeadDraft, minBytes: number): boolean {
  const { status } = head;
  // What goes for the whole goes for "not modified"; parts of a body are parts of the one that was not compressed.
  if (status === 304) return true;
  if (status < 200 || status === 204 || status === 205 || status === 206) return false;
  if (head.has("content-encoding") || head.has("content-range") || head.has("x-sendfile")) return false;
  if (/\bno-transform\b/i.test(head.get("cache-control") ?? "")) return false;
  const length = head.get("content-length");
  if (length !== undefined && Number(length) < minBytes) return false;
  const type = head.get("content-type");
  return type !== undefined && isCompressibleType(type);
}

const CACHED_CHARS_MAX = 256;
const typeCache = new Map<string, boolean>();

/** Everything but what is compressed by its nature. Bytes of no known kind are taken for compressed. */
export function isCompressibleType(contentType: string): boolean {
  let known = typeCache.get(contentType);
  if (known === undefined) {
    const type = contentType.split(";")[0]!.trim().toLowerCase();
    known = !COMPRESSED.test(type) || UNCOMPRESSED.test(type);
    if (contentType.length > CACHED_CHARS_MAX) return known;
    if (typeCache.size >= 256) typeCache.clear();
    typeCache.set(contentType, known);
  }
  return known;
}

const COMPRESSED =
  /^(?:$|image\/|audio\/|video\/|multipart\/|font\/woff|application\/(?:octet-stream|pdf|gzip|x-gzip|zip|x-zip|zstd|x-bzip|x-xz|x-7z|x-rar|vnd\.rar|java-archive|epub|font-woff|x-font-woff|ogg|grpc|vnd\.(?:openxmlformats|oasis\.opendocument|android\.package)))/;
const UNCOMPRESSED = /^(?:image\/(?:svg\+xml|bmp|x-bmp|x-ms-bmp|x-icon|vnd\.microsoft\.icon)|audio\/(?:wav|midi))$/;

type Callback = (error: Error | null, encoded: Uint8Array) => void;

function encoder(
  encoding: Encoding,
  whole: (body: Uint8Array, done: Callback) => void,
  stream: () => Transform & { flush(): void },
): BodyEncoder {
  return {
    stream,
    whole: (body, done) => {
      const known = formsOf(body);
      const earlier = known?.get(encoding);
      if (earlier !== undefined) return done(null, earlier);
      whole(body, (error, encoded) => {
        if (error === null) known?.set(encoding, encoded);
        done(error, encoded);
      });
    },
  };
}

const GZIP = { level: 6 };
// Quality 4 takes the time of gzip and makes less of it; a smaller window keeps a stream's memory below 2 MB.
const BROTLI = {
  params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4, [zlib.constants.BROTLI_PARAM_LGWIN]: 19 },
  flush: zlib.constants.BROTLI_OPERATION_PROCESS,
};

/** What newer versions of Node have. */
interface ZstdFunctions {
  zstdCompress?(body: Uint8Array, done: Callback): void;
  createZstdCompress?(): Transform & { flush(): void };
}

const { zstdCompress, createZstdCompress } = zlib as ZstdFunctions;

const ENCODERS: Partial<Record<Encoding, BodyEncoder>> = {
  gzip: encoder(
    "gzip",
    (body, done) => zlib.gzip(body, GZIP, done),
    () => flushing(zlib.createGzip(GZIP), zlib.constants.Z_SYNC_FLUSH),
  ),
  br: encoder(
    "br",
    (body, done) => zlib.brotliCompress(body, BROTLI, done),
    () => flushing(zlib.createBrotliCompress(BROTLI), zlib.constants.BROTLI_OPERATION_FLUSH),
  ),
  ...(zstdCompress &&
    createZstdCompress && {
      zstd: encoder(
        "zstd",
        (body, done) => zstdCompress(body, done),
        () => createZstdCompress(),
      ),
    }),
};

/** A stream whose `flush()` lets out all that was written, and no more. */
function flushing(stream: zlib.Gzip | zlib.BrotliCompress, kind: number): Transform & { flush(): void } {
  const flush = stream.flush.bind(stream);
  return Object.assign(stream, { flush: () => flush(kind) });
}
