import type { Readable } from "node:stream";
import { Busboy, type BusboyInstance } from "@fastify/busboy";
import { RrError } from "../errors.ts";

export interface MultipartLimits {
  /** 0: no limit. */
  readonly fileBytesMax: number;
  readonly filesMax: number;
  readonly fieldsMax: number;
  readonly fieldBytesMax: number;
}

/** Who wants the parts of a form, in their order. After `failed` nothing more comes. */
export interface MultipartListener {
  field(name: string, value: string): void;
  /** A file input without a file: browsers send a part with an empty file name and nothing in it. */
  noFile(name: string): void;
  /** A part with a file name begins: who takes its bytes? */
  file(name: string, fileName: string, mime: string): FileTaker;
  /** After `write` answered false: more may be written. */
  drained(): void;
  /** All parts have been told. */
  finished(): void;
  failed(error: RrError): void;
}

/** Takes the bytes of one file. */
export interface FileTaker {
  /** Answers whether more may come at once; if not, `goOn` is to be called later. */
  take(data: Buffer, goOn: () => void): boolean;
  end(): void;
}

/** Of the head of one part; what is beyond does not count. */
const PART_HEAD_BYTES_MAX = 16 * 1024;
const PART_HEADERS_MAX = 100;
/** Parts that are neither fields nor files are skipped; so many of them are no accident. */
const NAMELESS_PARTS_MAX = 100;
/** All values of a form together: they end up in memory. */
const VALUE_BYTES_MAX = 32 * 1024 * 1024;
/** What may come without any part coming of it: text before the first one, after the last one, heads. */
const IDLE_BYTES_MAX = 256 * 1024;

/**
 * Reads a multipart form as it comes in. Fields are told whole, files in pieces, and nothing of a file is kept: its taker
 * holds up the reader, and the reader its writer.
 */
export class MultipartReader {
  readonly #limits: MultipartLimits;
  readonly #listener: MultipartListener;
  readonly #busboy: BusboyInstance;
  readonly #files = new Set<Readable>();
  /** Fields that have begun and were not told yet, in their order. */
  readonly #fields: { name: string | undefined; fileNameIsEmpty: boolean }[] = [];
  #valueBytes = 0;
  /** Since anything was told. */
  #idleBytes = 0;
  #allParsed = false;
  #over = false;

  /** @throws RrError INVALID_REQUEST: the content type names no boundary */
  constructor(contentType: string, limits: MultipartLimits, listener: MultipartListener) {
    this.#limits = limits;
    this.#listener = listener;
    this.#busboy = createBusboy(contentType, limits, (name, fileName) => this.#isFile(name, fileName));
    this.#busboy.on("field", (name, value, _nameTruncated, valueTruncated) => this.#field(name, value, valueTruncated));
    this.#busboy.on("file", (name, stream, fileName, _encoding, mime) => this.#file(name, stream, fileName, mime));
    this.#busboy.on("filesLimit", () => this.#fail(tooMany("files", limits.filesMax, "max_files")));
    this.#busboy.on("fieldsLimit", () => this.#fail(tooMany("fields", limits.fieldsMax, "max_fields")));
    this.#busboy.on("partsLimit", () => this.#fail(malformed("too many of its parts have no name")));
    this.#busboy.on("drain", () => {
      if (!this.#over) listener.drained();
    });
    this.#busboy.on("error", (error) => this.#fail(malformed((error as Error).message)));
    this.#busboy.on("finish", () => {
      this.#allParsed = true;
      this.#finishIfDone();
    });
  }

  /** Answers whether more may be written at once; if not, `drained` tells when. */
  write(data: Buffer): boolean {
    if (this.#over) return true;
    this.#idleBytes += data.length;
    if (this.#idleBytes > this.#limits.fieldBytesMax + IDLE_BYTES_MAX) {
      this.#fail(this.#tooIdle());
      return true;
    }
    return this.#busboy.write(data);
  }

  /** The body has ended. */
  end(): void {
    if (!this.#over) this.#busboy.end();
  }

  /** Nobody wants the rest. */
  stop(): void {
    this.#over = true;
    for (const file of this.#files) file.destroy();
    this.#files.clear();
  }

  /** So much came and nothing was told: either a field does not end, or there is none. */
  #tooIdle(): RrError {
    const field = this.#fields[0];
    if (field === undefined) return malformed(`${this.#idleBytes} bytes of it belong to no part`);
    return this.#fieldTooLarge(field.name ?? "");
  }

  #fieldTooLarge(name: string): RrError {
    return tooLarge(`field ${shown(name)}`, this.#limits.fieldBytesMax, "http.uploads.max_field_size");
  }

  /** Asked once for each part, before anything is told of it. */
  #isFile(name: string | undefined, fileName: string | undefined): boolean {
    if (fileName) return true;
    this.#fields.push({ name, fileNameIsEmpty: fileName === "" });
    return false;
  }

  #field(name: string | undefined, value: string, truncated: boolean): void {
    this.#idleBytes = 0;
    const begun = this.#fields.shift();
    if (this.#over || !name) return;
    if (begun?.fileNameIsEmpty && value === "") return this.#listener.noFile(name);
    if (truncated) return this.#fail(this.#fieldTooLarge(name));
    this.#valueBytes += name.length + value.length;
    if (this.#valueBytes > VALUE_BYTES_MAX)
      return this.#fail(
        new RrError("PAYLOAD_TOO_LARGE", `the fields of the form have more than ${VALUE_BYTES_MAX} bytes`),
      );
    this.#listener.field(name, value);
  }

  #file(name: string | undefined, stream: Readable, fileName: string, mime: string): void {
    this.#idleBytes = 0;
    // The part ended before its end: the form as a whole fails for it.
    stream.on("error", () => {});
    if (this.#over || !name) return void stream.resume();
    const taker = this.#listener.file(name, fileName, mime);
    this.#files.add(stream);
    const { fileBytesMax } = this.#limits;
    stream.on("limit", () =>
      this.#fail(tooLarge(`file ${shown(fileName)}`, fileBytesMax, "http.uploads.max_file_size")),
    );
    const goOn = () => {
      if (!this.#over) stream.resume();
    };
    stream.on("data", (data: Buffer) => {
      this.#idleBytes = 0;
      if (!this.#over && !taker.take(data, goOn)) stream.pause();
    });
    stream.on("end", () => {
      this.#files.delete(stream);
      if (this.#over) return;
      taker.end();
      this.#finishIfDone();
    });
  }

  /** The parser may be done before the last file has been taken. */
  #finishIfDone(): void {
    if (this.#over || !this.#allParsed || this.#files.size > 0) return;
    this.#over = true;
    this.#listener.finished();
  }

  #fail(error: RrError): void {
    if (this.#over) return;
    this.stop();
    this.#listener.failed(error);
  }
}

function createBusboy(
  contentType: string,
  limits: MultipartLimits,
  isFile: (name: string | undefined, fileName: string | undefined) => boolean,
): BusboyInstance {
  try {
    return new Busboy({
      headers: { "content-type": contentType },
      isPartAFile: (name, _mime, fileName) => isFile(name, fileName),
      limits: {
        fileSize: limits.fileBytesMax === 0 ? Number.POSITIVE_INFINITY : limits.fileBytesMax,
        files: limits.filesMax,
        fields: limits.fieldsMax,
        fieldSize: limits.fieldBytesMax,
        parts: limits.filesMax + limits.fieldsMax + NAMELESS_PARTS_MAX,
        headerPairs: PART_HEADERS_MAX,
        headerSize: PART_HEAD_BYTES_MAX,
      },
    });
  } catch {
    throw malformed("its content type names no boundary");
  }
}

function malformed(problem: string): RrError {
  return new RrError("INVALID_REQUEST", `the multipart form cannot be read: ${problem}`);
}

function tooMany(things: string, max: number, key: string): RrError {
  return new RrError("PAYLOAD_TOO_LARGE", `the form has more than ${max} ${things} (http.uploads.${key})`);
}

function tooLarge(thing: string, bytesMax: number, key: string): RrError {
  return new RrError("PAYLOAD_TOO_LARGE", `the ${thing} of the form has more than ${bytesMax} bytes (${key})`);
}

function shown(name: string): string {
  return JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}...` : name);
}
