import { RrError } from "../errors.ts";
import { NAME_BYTES_MAX, nameTooLong, shown } from "./form-names.ts";
import { boundaryOf, type PartHead, partHead } from "./multipart-head.ts";

export interface MultipartLimits {
  readonly filesMax: number;
  readonly fieldsMax: number;
  readonly fieldBytesMax: number;
}

/** Who wants the parts of a form, in their order. Texts are bytes, one per character. After `failed` nothing more comes. */
export interface MultipartListener {
  field(name: string, charset: string | undefined): PartTaker;
  /** A file input without a file: browsers send a part with an empty file name and nothing in it. */
  noFile(name: string): void;
  /** A part with a file name begins: who takes its bytes? */
  file(name: string, fileName: string, mime: string): PartTaker;
  /** All parts have been told. */
  finished(): void;
  failed(error: RrError): void;
}

/** Takes the bytes of one part. */
export interface PartTaker {
  take(data: Buffer): void;
  end(): void;
}

/** Of the head of one part. */
const PART_HEAD_BYTES_MAX = 16 * 1024;
/** Parts that are no form data are skipped; so many of them are no accident. */
const OTHER_PARTS_MAX = 100;
/** All values of a form together. */
const VALUE_BYTES_MAX = 32 * 1024 * 1024;
/** All names of a form together, those of files and their types included: the names of files stay in memory. */
const NAMES_BYTES_MAX = 2 * 1024 * 1024;
/** What may come that belongs to no field and no file: text before the first part and after the last one, and others. */
const IDLE_BYTES_MAX = 256 * 1024;
/** Blanks behind a boundary. */
const PADDING_BYTES_MAX = 256;

const CR = 0x0d;
const LF = 0x0a;
const DASH = 0x2d;
const BLANK = 0x20;
const TAB = 0x09;
const HEAD_END = Buffer.from("\r\n\r\n");
const EMPTY = Buffer.alloc(0);

type State = "content" | "boundary" | "head" | "epilogue";

/**
 * Reads a multipart form as it comes in, and keeps nothing of it but the head or the few bytes that may become one. What
 * is found is told at once; how fast more is given is the caller's business. Takes time in proportion to the bytes.
 */
export class MultipartReader {
  readonly #limits: MultipartLimits;
  readonly #listener: MultipartListener;
  readonly #delimiter: Buffer;
  #state: State = "content";
  /** Bytes whose meaning the next ones tell. */
  #held: Buffer = EMPTY;
  /** Of the piece that is read: where they begin. */
  #heldFrom = 0;
  /** No byte of this content has come: its first line may be a boundary. */
  #fresh = true;
  /** Bytes of the boundary that was found, with or without the line end before it. */
  #boundaryBytes = 0;
  /** Who takes the content; undefined: it belongs to no field and no file. */
  #taker: PartTaker | undefined;
  /** The name of the field that is read; undefined: it is a file. */
  #fieldName: string | undefined;
  #fieldBytes = 0;
  #fields = 0;
  #files = 0;
  #others = 0;
  #valueBytes = 0;
  #nameBytes = 0;
  #idleBytes = 0;
  #over = false;

  /** @throws RrError INVALID_REQUEST: the content type names no boundary */
  constructor(contentType: string, limits: MultipartLimits, listener: MultipartListener) {
    const boundary = boundaryOf(contentType);
    if (boundary === undefined) throw malformed("its content type names no boundary");
    this.#limits = limits;
    this.#listener = listener;
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  }

  write(piece: Buffer): void {
    if (this.#over || piece.length === 0) return;
    const data = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    try {
      this.#heldFrom = data.length;
      for (let at = 0; at >= 0 && !this.#over; ) at = this.#step(data, at);
      // A copy: a view would keep all of the piece.
      this.#held = this.#heldFrom < data.length ? Buffer.from(data.subarray(this.#heldFrom)) : EMPTY;
    } catch (thrown) {
      this.#fail(RrError.from(thrown));
    }
  }

  /** The body has ended. */
  end(): void {
    if (this.#over) return;
    if (this.#state !== "epilogue") return this.#fail(malformed("it ends before its last boundary"));
    this.#over = true;
    this.#listener.finished();
  }

  /** Nobody wants the rest. */
  stop(): void {
    this.#over = true;
    this.#held = EMPTY;
  }

  #fail(error: RrError): void {
    if (this.#over) return;
    this.stop();
    this.#listener.failed(error);
  }

  /** Answers where to go on, or -1 if more has to come first. */
  #step(data: Buffer, at: number): number {
    switch (this.#state) {
      case "content":
        return this.#content(data, at);
      case "boundary":
        return this.#boundary(data, at);
      case "head":
        return this.#head(data, at);
      case "epilogue":
        this.#idle(data.length - at);
        return -1;
    }
  }

  #wait(from: number): -1 {
    this.#heldFrom = from;
    return -1;
  }

  #content(data: Buffer, at: number): number {
    if (this.#fresh) {
      const line = this.#delimiter.subarray(2);
      const start = data.subarray(at, at + line.length);
      if (line.subarray(0, start.length).equals(start)) {
        if (start.length < line.length) return this.#wait(at);
        return this.#toBoundary(at, line.length);
      }
      this.#fresh = false;
    }
    const found = data.indexOf(this.#delimiter, at);
    const end = found < 0 ? this.#possibleBoundary(data, at) : found;
    if (end > at) this.#take(data.subarray(at, end));
    return found < 0 ? this.#wait(end) : this.#toBoundary(found, this.#delimiter.length);
  }

  #toBoundary(at: number, bytes: number): number {
    this.#state = "boundary";
    this.#boundaryBytes = bytes;
    return at;
  }

  /** Where the end of the data may be the start of a boundary; the end itself if it is none. */
  #possibleBoundary(data: Buffer, from: number): number {
    const start = Math.max(from, data.length - this.#delimiter.length + 1);
    for (let at = data.indexOf(CR, start); at >= 0; at = data.indexOf(CR, at + 1))
      if (this.#delimiter.subarray(0, data.length - at).equals(data.subarray(at))) return at;
    return data.length;
  }

  /** What looks like a boundary is one only if its line ends as it should. */
  #boundary(data: Buffer, at: number): number {
    const after = at + this.#boundaryBytes;
    if (after + 2 > data.length) return this.#wait(at);
    if (data[after] === DASH && data[after + 1] === DASH) {
      this.#endPart();
      this.#state = "epilogue";
      return after + 2;
    }
    let end = after;
    while (end < data.length && (data[end] === BLANK || data[end] === TAB)) end++;
    if (end - after <= PADDING_BYTES_MAX) {
      if (end + 2 > data.length) return this.#wait(at);
      if (data[end] === CR && data[end + 1] === LF) {
        this.#endPart();
        this.#state = "head";
        return end;
      }
    }
    this.#state = "content";
    this.#fresh = false;
    this.#take(data.subarray(at, after));
    return after;
  }

  /** @param at the line end before the head */
  #head(data: Buffer, at: number): number {
    const found = data.indexOf(HEAD_END, at);
    if ((found < 0 ? data.length : found) - at > PART_HEAD_BYTES_MAX)
      throw malformed(`the head of a part has more than ${PART_HEAD_BYTES_MAX} bytes`);
    if (found < 0) return this.#wait(at);
    const head = partHead(data.toString("latin1", Math.min(at + 2, found), found));
    if (head === undefined) throw malformed("a line in the head of a part ends in a bare CR or LF");
    this.#beginPart(head);
    this.#state = "content";
    this.#fresh = true;
    return found + HEAD_END.length;
  }

  #beginPart(head: PartHead): void {
    const { name, fileName, mime, charset, isFormData } = head;
    if (!isFormData && ++this.#others > OTHER_PARTS_MAX)
      throw malformed(`more than ${OTHER_PARTS_MAX} of its parts are no form data`);
    if (!isFormData) return;
    if (fileName) {
      if (++this.#files > this.#limits.filesMax) throw tooMany("files", this.#limits.filesMax, "max_files");
    } else if (++this.#fields > this.#limits.fieldsMax) throw tooMany("fields", this.#limits.fieldsMax, "max_fields");
    if (!name) return;
    if (name.length > NAME_BYTES_MAX) throw nameTooLong(name);
    this.#nameBytes += name.length + (fileName?.length ?? 0) + mime.length;
    if (this.#nameBytes > NAMES_BYTES_MAX)
      throw new RrError("PAYLOAD_TOO_LARGE", `the names in the form have more than ${NAMES_BYTES_MAX} bytes`);
    this.#fieldName = fileName ? undefined : name;
    this.#fieldBytes = 0;
    if (fileName) this.#taker = this.#listener.file(name, fileName, mime);
    else this.#taker = fileName === "" ? this.#perhapsFile(name, charset) : this.#listener.field(name, charset);
  }

  /** Only what comes tells whether an input for files was left empty. */
  #perhapsFile(name: string, charset: string | undefined): PartTaker {
    let taker: PartTaker | undefined;
    return {
      take: (data) => {
        taker ??= this.#listener.field(name, charset);
        taker.take(data);
      },
      end: () => (taker ? taker.end() : this.#listener.noFile(name)),
    };
  }

  #take(data: Buffer): void {
    if (this.#taker === undefined) return this.#idle(data.length);
    if (this.#fieldName !== undefined) this.#countValue(this.#fieldName, data.length);
    this.#taker.take(data);
  }

  #countValue(name: string, bytes: number): void {
    const { fieldBytesMax } = this.#limits;
    this.#fieldBytes += bytes;
    this.#valueBytes += bytes;
    if (this.#fieldBytes > fieldBytesMax)
      throw new RrError(
        "PAYLOAD_TOO_LARGE",
        `the field ${shown(name)} of the form has more than ${fieldBytesMax} bytes (http.uploads.max_field_size)`,
      );
    if (this.#valueBytes > VALUE_BYTES_MAX)
      throw new RrError("PAYLOAD_TOO_LARGE", `the fields of the form have more than ${VALUE_BYTES_MAX} bytes`);
  }

  #endPart(): void {
    const taker = this.#taker;
    this.#taker = undefined;
    taker?.end();
  }

  #idle(bytes: number): void {
    this.#idleBytes += bytes;
    if (this.#idleBytes > IDLE_BYTES_MAX)
      throw malformed(`more than ${IDLE_BYTES_MAX} bytes of it belong to no field and no file`);
  }
}

function malformed(problem: string): RrError {
  return new RrError("INVALID_REQUEST", `the multipart form cannot be read: ${problem}`);
}

function tooMany(things: string, max: number, key: string): RrError {
  return new RrError("PAYLOAD_TOO_LARGE", `the form has more than ${max} ${things} (http.uploads.${key})`);
}
