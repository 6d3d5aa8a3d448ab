import type {
  BodyChunk,
  FileChunk,
  FileStored,
  OpenCall,
} from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { RrError } from "../errors.ts";
import type { WorkerRequest } from "../goridge/worker-protocol.ts";
import type { Spool } from "../spool/spool.ts";
import { CANNOT_WRITE, type SpoolFile, STORED } from "../spool/spool-file.ts";
import type { FileOwner } from "../spool/spool-folder.ts";

/** What all requests share. */
export interface IntakeSettings {
  /** What a request may weigh, body and files together. */
  readonly payloadBytesMax: number;
  readonly spool: Spool;
  /** Bytes of bodies that are in memory. */
  heldBytes: number;
}

export interface IntakeListener {
  /** Bytes that were put away since the last time. */
  taken(bytes: number): void;
  stored(file: Omit<FileStored, "$typeName">): void;
  /** All of the request is there. */
  complete(request: WorkerRequest): void;
  /** The request cannot be taken; nothing more is told. */
  failed(error: RrError): void;
}

/** Larger bodies are kept on the disk. */
const BODY_MEMORY_BYTES_MAX = 4 * 1024 * 1024;
/** While bodies of all calls together take more memory, all but small ones are kept on the disk. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;
const SMALL_BODY_BYTES = 64 * 1024;
/** The length field of a frame has 32 bits. */
const FRAME_BYTES_MAX = 0xffff_ffff;
/** Files of a call that may be under way side by side. */
const OPEN_FILES_MAX = 64;
const FILES_MAX = 100_000;
/** Told in portions: callers may have 1 MiB on the way, so that less than half of that is soon enough. */
const TAKEN_BYTES = 256 * 1024;

/**
 * Takes in a request that comes in pieces: small bodies in memory, large ones and files on the disk. A worker is asked
 * for when all is there.
 */
export class CallIntake {
  readonly #open: OpenCall;
  readonly #settings: IntakeSettings;
  readonly #owner: () => FileOwner;
  readonly #listener: IntakeListener;
  #context: Uint8Array;
  /** Of body and files. */
  #receivedBytes: number;
  #bodyBytes = 0;
  #heldBytes = 0;
  #bodyParts: Uint8Array[] = [];
  #bodyFile: SpoolFile | undefined;
  #bodyEnded = false;
  #bodyStored = false;
  readonly #files = new Map<number, SpoolFile>();
  /** Files whose fate is not known. */
  #filesOpen = 0;
  #untoldBytes = 0;
  #over = false;

  /** @param owner who files belong to; may throw an RrError */
  constructor(open: OpenCall, settings: IntakeSettings, owner: () => FileOwner, listener: IntakeListener) {
    this.#open = open;
    this.#settings = settings;
    this.#owner = owner;
    this.#listener = listener;
    this.#context = open.context;
    this.#receivedBytes = open.context.length;
    if (this.#admit(open.body.length)) this.#addBody(open.body, 0);
  }

  body({ data, last, context }: BodyChunk): void {
    if (this.#over || this.#bodyEnded) return;
    if (context.length > 0) this.#context = context;
    if (!this.#admit(data.length + context.length)) return;
    this.#addBody(data, data.length);
    if (!last) return;
    this.#bodyEnded = true;
    const unfinished = [...this.#files.values()].filter(({ ended, error }) => !ended && error === STORED).length;
    if (unfinished > 0)
      return this.#fail(
        new RrError(
          "INVALID_REQUEST",
          `the body has ended, but ${unfinished} files of the call have not: send them first`,
        ),
      );
    this.#bodyFile?.end();
    this.#completeIfDone();
  }

  file({ fileId, data, last }: FileChunk): void {
    if (this.#over || this.#bodyEnded || !this.#admit(data.length)) return;
    const file = this.#files.get(fileId) ?? this.#addFile(fileId);
    if (file === undefined) return;
    if (file.ended)
      return this.#fail(new RrError("INVALID_REQUEST", `the file ${fileId} of the call has ended before`));
    if (data.length > 0) file.write(data);
    if (last) file.end();
  }

  /** Nobody needs what was kept any more. */
  release(): void {
    this.#over = true;
    this.#hold(-this.#heldBytes);
    this.#bodyParts = [];
    this.#bodyFile?.remove();
    for (const file of this.#files.values()) file.remove();
    this.#files.clear();
  }

  #admit(bytes: number): boolean {
    this.#receivedBytes += bytes;
    const { payloadBytesMax } = this.#settings;
    if (this.#receivedBytes <= payloadBytesMax && this.#bodyBytes + this.#context.length + bytes <= FRAME_BYTES_MAX)
      return true;
    this.#fail(payloadTooLarge(Math.min(payloadBytesMax, FRAME_BYTES_MAX)));
    return false;
  }

  /** @param untoldBytes how many of these bytes `taken` is to tell of */
  #addBody(data: Uint8Array, untoldBytes: number): void {
    this.#bodyBytes += data.length;
    if (this.#bodyFile !== undefined) return this.#bodyFile.write(data);
    if (this.#fitsMemory()) {
      this.#hold(data.length);
      // Views on messages would hold whole messages in memory.
      if (data.length > 0) this.#bodyParts.push(Buffer.from(data));
      return this.#took(untoldBytes);
    }
    // What was in memory until now has been told of.
    let toldBytes = this.#bodyBytes - untoldBytes;
    const file = this.#settings.spool.namelessFile({
      wrote: (bytes) => {
        const told = Math.min(bytes, toldBytes);
        toldBytes -= told;
        this.#took(bytes - told);
      },
      stored: () => this.#bodyDone(file),
    });
    this.#bodyFile = file;
    for (const part of this.#bodyParts.splice(0)) file.write(part);
    file.write(data);
    this.#hold(-this.#heldBytes);
  }

  #fitsMemory(): boolean {
    const bytesMax = this.#settings.heldBytes > HELD_BYTES_MAX ? SMALL_BODY_BYTES : BODY_MEMORY_BYTES_MAX;
    return this.#bodyBytes <= bytesMax;
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#settings.heldBytes += bytes;
  }

  #bodyDone(file: SpoolFile): void {
    this.#bodyStored = true;
    if (file.error === STORED) return this.#completeIfDone();
    const message = `the body is too large for the memory and cannot be kept on the disk: ${file.problem}; see http.uploads.dir`;
    this.#fail(new RrError("UNAVAILABLE", message));
  }

  #addFile(fileId: number): SpoolFile | undefined {
    const full = this.#files.size >= FILES_MAX ? FILES_MAX : undefined;
    if (full !== undefined || this.#filesOpen >= OPEN_FILES_MAX) {
      const which = full === undefined ? `${OPEN_FILES_MAX} files at the same time` : `${full} files`;
      this.#fail(new RrError("INVALID_REQUEST", `the call has more than ${which}`));
      return undefined;
    }
    try {
      const file = this.#settings.spool.file(this.#owner(), {
        wrote: (bytes) => this.#took(bytes),
        stored: (stored) => this.#fileDone(fileId, stored),
      });
      this.#files.set(fileId, file);
      this.#filesOpen++;
      return file;
    } catch (thrown) {
      this.#fail(RrError.from(thrown));
      return undefined;
    }
  }

  #fileDone(fileId: number, { path, sizeBytes, error }: SpoolFile): void {
    this.#filesOpen--;
    if (this.#over) return;
    const writtenBytes = error === STORED || error === CANNOT_WRITE ? sizeBytes : 0;
    this.#listener.stored({ fileId, path, sizeBytes: BigInt(writtenBytes), error });
    this.#completeIfDone();
  }

  #took(bytes: number): void {
    this.#untoldBytes += bytes;
    if (this.#over || this.#untoldBytes < TAKEN_BYTES) return;
    this.#listener.taken(this.#untoldBytes);
    this.#untoldBytes = 0;
  }

  #completeIfDone(): void {
    if (this.#over || !this.#bodyEnded || this.#filesOpen > 0) return;
    if (this.#bodyFile !== undefined && !this.#bodyStored) return;
    this.#over = true;
    const parts = this.#bodyParts;
    this.#bodyParts = [];
    const body = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    this.#listener.complete({ context: this.#context, body, codec: this.#open.codec, source: this.#bodyFile });
  }

  #fail(error: RrError): void {
    if (this.#over) return;
    this.release();
    this.#listener.failed(error);
  }
}

export function payloadTooLarge(bytesMax: number): RrError {
  return new RrError("PAYLOAD_TOO_LARGE", `the payload is larger than the ${bytesMax} bytes that are allowed`, {
    metadata: { limit_bytes: bytesMax },
  });
}
